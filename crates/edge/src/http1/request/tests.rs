use super::{Method, Request, check, decimal, is_sane_id};
use crate::http1::body::Framing;
use crate::http1::head::{Head, Malformed, parse_request};

fn read(fields: &str) -> Result<(Request, Vec<String>), Malformed> {
    let text = format!("GET / {fields}\r\n\r\n");
    let mut head = Head::default();
    assert_eq!(parse_request(text.as_bytes(), 100, &mut head), Ok(true), "{text:?}");
    let request = check(text.as_bytes(), &mut head)?;
    let kept = head.fields.iter().filter(|f| !f.dropped);
    Ok((request, kept.map(|f| String::from_utf8_lossy(f.name.of(text.as_bytes())).to_lowercase()).collect()))
}

#[test]
fn persistence_follows_the_version_and_the_options() {
    for (fields, keep_alive) in [
        ("HTTP/1.1\r\nHost: h", true),
        ("HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE", false),
        ("HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close", false),
        ("HTTP/1.0", false),
        ("HTTP/1.0\r\nConnection: Keep-Alive", true),
        ("HTTP/1.0\r\nConnection: keep-alive, close", false),
    ] {
        assert_eq!(read(fields).unwrap().0.keep_alive, keep_alive, "{fields:?}");
    }
}

#[test]
fn what_connection_lists_stays_behind() {
    let (_, kept) = read("HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nConnection: b, ,C\r\nc: 3\r\nD: 4").unwrap();
    assert_eq!(kept, ["host", "a", "d"]);
}

#[test]
fn only_a_plain_get_like_request_upgrades() {
    let upgrade =
        |fields: &str| read(&format!("HTTP/1.1\r\nHost: h\r\n{fields}")).unwrap().0.upgrade.is_some();
    assert!(upgrade("Connection: upgrade\r\nUpgrade: websocket"));
    assert!(!upgrade("Upgrade: websocket"));
    assert!(!upgrade("Connection: upgrade"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: a, H2C"));
}

#[test]
fn framing() {
    let framing =
        |fields: &str| read(&format!("HTTP/1.1\r\nHost: h{fields}")).map(|(request, _)| request.framing);
    assert_eq!(framing(""), Ok(Framing::None));
    assert_eq!(framing("\r\nContent-Length: 0"), Ok(Framing::None));
    assert_eq!(framing("\r\nContent-Length: 007"), Ok(Framing::Length(7)));
    assert_eq!(framing("\r\nTransfer-Encoding: Chunked"), Ok(Framing::Chunked));
    assert_eq!(framing("\r\nContent-Length: 0\r\nTransfer-Encoding: chunked"), Err(Malformed::TwoFramings));
    assert_eq!(framing("\r\nContent-Length: 1\r\nContent-Length: 1"), Err(Malformed::ContentLength));
}

#[test]
fn only_harmless_ids_are_kept() {
    for id in ["a", "6e0c63257de34c9a", "x/y:z+w=_.-", &"i".repeat(128)] {
        assert!(is_sane_id(id.as_bytes()), "{id}");
    }
    for id in ["", "a b", "a\"", "\u{e9}", "a,b", "<a>", &"i".repeat(129)] {
        assert!(!is_sane_id(id.as_bytes()), "{id}");
    }
}

#[test]
fn numbers_are_plain() {
    assert_eq!(decimal(b"999999999999999999"), Some(999_999_999_999_999_999));
    for text in ["", "1000000000000000000", "+1", " 1", "1 ", "1_0", "0x1", "\u{0661}"] {
        assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn methods_are_case_sensitive() {
    assert!(Method::of(b"GET").may_repeat() && Method::of(b"DELETE").may_repeat());
    assert!(!Method::of(b"get").may_repeat() && !Method::of(b"POST").may_repeat());
    assert_eq!(Method::of(b"CONNECT"), Method::Refused);
}
