//! Response: where the answer to a request ends, and whether it is the one that was asked for.

/// A whole response at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Its bytes, head and body.
    pub bytes: usize,
    /// Whether the server will close the connection.
    pub close: bool,
}

/// Not HTTP, or HTTP whose end can't be told.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbled;

/// The response at the start of `bytes`; `None` when it isn't all there.
pub fn parse(bytes: &[u8]) -> Result<Option<Response>, Garbled> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Garbled),
    };
    let (mut length, mut chunked, mut close) = (None, false, parsed.version == Some(0));
    for field in parsed.headers.iter() {
        // the names are long and few are asked about, so the length tells most of them apart
        match field.name.len() {
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                let text = std::str::from_utf8(field.value).map_err(|_| Garbled)?;
                length = Some(text.parse::<usize>().map_err(|_| Garbled)?);
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                chunked = field.value.eq_ignore_ascii_case(b"chunked");
            }
            10 if field.name.eq_ignore_ascii_case("connection") => {
                close |= field.value.eq_ignore_ascii_case(b"close");
            }
            _ => {}
        }
    }
    let status = parsed.code.ok_or(Garbled)?;
    let body = match (chunked, length) {
        (true, _) => chunks(&bytes[head..])?,
        (false, Some(length)) => Some(length),
        (false, None) => return Err(Garbled),
    };
    Ok(body.filter(|body| head + body <= bytes.len()).map(|body| Response {
        status,
        bytes: head + body,
        close,
    }))
}

/// The length of a whole chunked body, without trailers.
fn chunks(bytes: &[u8]) -> Result<Option<usize>, Garbled> {
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(bytes.get(at..).unwrap_or_default()) {
            Ok(httparse::Status::Complete((head, size))) => {
                at += head + usize::try_from(size).map_err(|_| Garbled)? + 2;
                if size == 0 {
                    return Ok(Some(at));
                }
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        let expected = Response { status: 200, bytes: whole.len(), close: true };
        assert_eq!(parse(whole), Ok(Some(expected)));
        assert_eq!(parse(&whole[..whole.len() - 1]), Ok(None));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nhi"), Err(Garbled));
        assert_eq!(parse(b"SSH-2.0\r\n\r\n"), Err(Garbled));
    }

    #[test]
    fn chunks_are_counted() {
        let whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(parse(whole).unwrap().unwrap().bytes, whole.len());
        for cut in 1..whole.len() {
            assert_eq!(parse(&whole[..cut]), Ok(None), "{cut}");
        }
    }
}
