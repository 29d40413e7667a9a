use super::{Response, check};
use crate::http1::body::Framing;
use crate::http1::head::{Head, Malformed, parse_response};

fn read(text: &str, to_head: bool) -> Result<(Response, Vec<String>), Malformed> {
    let text = format!("HTTP/{text}\r\n\r\n");
    let mut head = Head::default();
    assert_eq!(parse_response(text.as_bytes(), 100, &mut head), Ok(true), "{text:?}");
    let response = check(text.as_bytes(), &mut head, to_head)?;
    let kept = head.fields.iter().filter(|f| !f.dropped);
    Ok((response, kept.map(|f| String::from_utf8_lossy(f.name.of(text.as_bytes())).into_owned()).collect()))
}

#[test]
fn framing() {
    for (text, to_head, framing) in [
        ("1.1 200 OK\r\ncontent-length: 3", false, Framing::Length(3)),
        ("1.1 200 OK\r\ncontent-length: 3", true, Framing::None),
        ("1.1 304 N\r\ncontent-length: 3", false, Framing::None),
        ("1.1 204 N\r\ntransfer-encoding: chunked", false, Framing::None),
        ("1.1 100 C", false, Framing::None),
        ("1.1 200 OK\r\ncontent-length: 0", false, Framing::None),
        ("1.1 200 OK\r\ntransfer-encoding: chunked", false, Framing::Chunked),
        ("1.1 200 OK", false, Framing::Close),
    ] {
        assert_eq!(read(text, to_head).unwrap().0.framing, framing, "{text:?}");
    }
    assert_eq!(
        read("1.1 304 N\r\ncontent-length: 3\r\ntransfer-encoding: chunked", true).unwrap_err(),
        Malformed::TwoFramings
    );
}

#[test]
fn what_is_of_one_hop_stays_behind() {
    let text = "1.1 200 OK\r\nA: 1\r\nConnection: b\r\nB: 2\r\nKeep-Alive: x\r\nX-Request-Id: y\r\n\
                Proxy-Authenticate: z\r\nUpgrade: u\r\nSet-Cookie: c\r\ncontent-length: 1";
    assert_eq!(read(text, false).unwrap().1, ["A", "Set-Cookie", "content-length"]);
    assert_eq!(read("1.1 204 N\r\ncontent-length: 0\r\nA: 1", false).unwrap().1, ["A"]);
    let (response, kept) = read("1.1 101 S\r\nconnection: upgrade\r\nupgrade: u", false).unwrap();
    assert_eq!((response.upgrade, kept), (true, vec!["upgrade".to_owned()]));
}

#[test]
fn persistence() {
    for (text, keep_alive) in [
        ("1.1 200 OK", true),
        ("1.1 200 OK\r\nconnection: close", false),
        ("1.0 200 OK", false),
        ("1.0 200 OK\r\nconnection: keep-alive", true),
    ] {
        assert_eq!(read(text, false).unwrap().0.keep_alive, keep_alive, "{text:?}");
    }
}
