use super::{Persistence, ResponseParts, interim, response, unframe};
use crate::http1::head::{Head, parse_response};
use crate::http1::response::check;

fn rewritten(text: &str, connection: Persistence, old: bool) -> String {
    let mut head = Head::default();
    assert_eq!(parse_response(text.as_bytes(), 100, &mut head), Ok(true));
    let read = check(text.as_bytes(), &mut head, false).unwrap();
    if old {
        unframe(&mut head, &read);
    }
    let parts = ResponseParts { request_id: b"id", stamp: b"now", connection };
    let mut out = Vec::new();
    response(text.as_bytes(), &head, &parts, &mut out);
    String::from_utf8(out).unwrap()
}

const ADDED: &str = "x-mycelium-edge: now\r\nx-request-id: id\r\n";

#[test]
fn kept_lines_stay_as_they_came() {
    let text = "HTTP/1.0 299 Fine So\r\nA:1\r\nConnection: close\r\nb :\r\n".replace("b :", "B:\t 2 ");
    let text = format!("{text}X-Request-Id: theirs\r\nC: 3\r\nContent-Length: 0\r\n\r\n");
    let kept = "A:1\r\nB:\t 2 \r\nC: 3\r\nContent-Length: 0\r\n";
    assert_eq!(
        rewritten(&text, Persistence::Implied, false),
        format!("HTTP/1.1 299 Fine So\r\n{kept}{ADDED}\r\n")
    );
    assert_eq!(
        rewritten(&text, Persistence::Close, false),
        format!("HTTP/1.1 299 Fine So\r\n{kept}{ADDED}connection: close\r\n\r\n")
    );
}

#[test]
fn who_cannot_read_chunks_is_not_told_of_them() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\n";
    assert_eq!(
        rewritten(text, Persistence::KeepAlive, true),
        format!("HTTP/1.1 200 OK\r\nA: 1\r\n{ADDED}connection: keep-alive\r\n\r\n")
    );
    assert!(rewritten(text, Persistence::Implied, false).contains("Transfer-Encoding: chunked\r\n"));
}

#[test]
fn interim_responses_get_nothing_added() {
    let text = "HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: y\r\n\r\n";
    let mut head = Head::default();
    assert_eq!(parse_response(text.as_bytes(), 100, &mut head), Ok(true));
    check(text.as_bytes(), &mut head, false).unwrap();
    let mut out = Vec::new();
    interim(text.as_bytes(), &head, &mut out);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
}
