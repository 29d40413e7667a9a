use super::*;

fn framing_of(bytes: &str) -> Result<Option<Framing>, Refused> {
    Ok(parse(bytes.as_bytes(), |_| ())?.map(|(framing, ())| framing))
}

fn whole(bytes: &str) -> Framing {
    framing_of(bytes).unwrap().unwrap()
}

#[test]
fn a_request_is_split_into_path_and_fields() {
    let bytes = b"GET /hello?a=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: 7\r\n\r\nrest";
    let seen = parse(bytes, |request| {
        (
            request.method.to_owned(),
            request.path.to_owned(),
            request.header("x-request-id").map(str::to_owned),
        )
    });
    let (framing, seen) = seen.unwrap().unwrap();
    assert_eq!(seen, ("GET".into(), "/hello".into(), Some("7".into())));
    assert_eq!(framing.head, bytes.len() - 4);
}

#[test]
fn half_a_head_waits() {
    assert_eq!(framing_of("GET / HTTP/1.1\r\nHost: x\r\n"), Ok(None));
}

#[test]
fn keep_alive_is_the_default_of_http_1_1_only() {
    assert!(!whole("GET / HTTP/1.1\r\nHost: x\r\n\r\n").close);
    assert!(whole("GET / HTTP/1.1\r\nHost: x\r\nConnection: te, Close\r\n\r\n").close);
    assert!(whole("GET / HTTP/1.0\r\n\r\n").close);
    assert!(!whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
}

#[test]
fn a_body_is_counted() {
    assert_eq!(whole("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n").body, 12);
    assert!(whole("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").head_only);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (fields, status) in [
        ("", 400),
        ("Host: x\r\nHost: y\r\n", 400),
        ("Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("Host: x\r\nContent-Length: +1\r\n", 400),
        ("Host: x\r\nContent-Length: \r\n", 400),
        ("Host: x\r\nTransfer-Encoding: chunked\r\n", 411),
    ] {
        assert_eq!(
            framing_of(&format!("GET / HTTP/1.1\r\n{fields}\r\n")),
            Err(Refused(status)),
            "{fields:?}"
        );
    }
    assert_eq!(framing_of("not http\r\n\r\n"), Err(Refused(400)));
}

#[test]
fn a_response_has_its_length_and_no_body_for_head() {
    let mut out = Vec::new();
    Response::ok("hi\n").write(&mut out, false, false);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("content-length: 3\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nhi\n"), "{text}");

    let mut out = Vec::new();
    Response::ok("hi\n").write(&mut out, true, true);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("connection: close\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}
