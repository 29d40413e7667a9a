use super::{Head, Malformed, parse_request, parse_response};

fn request(text: &str) -> Result<bool, Malformed> {
    parse_request(text.as_bytes(), 3, &mut Head::default())
}

#[test]
fn positions_point_at_what_was_sent() {
    let text = b"\r\nGET /a HTTP/1.1\r\nA: b\r\nLong-Name:\t v w \r\n\r\nrest";
    let mut head = Head::default();
    assert_eq!(parse_request(text, 10, &mut head), Ok(true));
    assert_eq!(head.line.map(|part| part.of(text)), [&b"GET"[..], b"/a", b"HTTP/1.1"]);
    let fields: Vec<_> = head.fields.iter().map(|f| (f.name.of(text), f.value.of(text))).collect();
    assert_eq!(fields, [(&b"A"[..], &b"b"[..]), (b"Long-Name", b"v w")]);
    assert_eq!(&text[head.len..], b"rest");
}

#[test]
fn a_head_is_used_anew() {
    let mut head = Head::default();
    assert_eq!(parse_request(b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 10, &mut head), Ok(true));
    assert_eq!(parse_request(b"GET / HTTP/1.1\r\n\r\n", 10, &mut head), Ok(true));
    assert!(head.fields.is_empty());
}

#[test]
fn the_number_of_lines_is_bounded() {
    assert_eq!(request("GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"), Ok(true));
    assert_eq!(request("GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"), Err(Malformed::TooMany));
}

#[test]
fn every_control_character_is_refused_everywhere() {
    for b in (0..=0x1f_u8).chain([0x7f]) {
        for text in ["GE?T / HTTP/1.1\r\n\r\n", "GET /? HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA?: b\r\n\r\n"]
        {
            let text = text.replace('?', &char::from(b).to_string());
            assert!(!matches!(request(&text), Ok(true)), "{text:?}");
        }
        let text = format!("GET / HTTP/1.1\r\nA: b{}c\r\n\r\n", char::from(b));
        assert_eq!(request(&text) == Ok(true), b == b'\t', "{text:?}");
    }
}

#[test]
fn status_lines() {
    let mut head = Head::default();
    for (text, parts) in [
        ("HTTP/1.1 200 OK\r\n\r\n", ["HTTP/1.1", "200", "OK"]),
        ("HTTP/1.0 404 Not Found\r\n\r\n", ["HTTP/1.0", "404", "Not Found"]),
        ("HTTP/1.1 204 \r\n\r\n", ["HTTP/1.1", "204", ""]),
        ("HTTP/1.1 204\r\n\r\n", ["HTTP/1.1", "204", ""]),
    ] {
        assert_eq!(parse_response(text.as_bytes(), 3, &mut head), Ok(true), "{text:?}");
        assert_eq!(head.line.map(|part| part.of(text.as_bytes())), parts.map(str::as_bytes));
    }
    for text in
        ["HTTP/1.1 20 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 600 X\r\n", "\r\n"]
    {
        assert!(parse_response(text.as_bytes(), 3, &mut head).is_err(), "{text:?}");
    }
}
