use super::*;

#[test]
fn a_url_is_split_at_its_path() {
    assert_eq!(split("http://127.0.0.1:8080/billing/hello"), Some(("127.0.0.1:8080", "/billing/hello")));
    for url in ["https://a/", "http:///x", "http://a", "a:1/x"] {
        assert_eq!(split(url), None, "{url}");
    }
}

#[test]
fn an_answer_is_taken_whole_or_not_at_all() {
    assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap(), "hi");
    assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nto the end").unwrap(), "to the end");
    assert!(matches!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"), Err(CallError::Io(_))));
    assert!(matches!(parse(b"HTTP/1.1 503 No\r\n\r\n"), Err(CallError::Status(503))));
    assert!(matches!(parse(b"HTTP/1.1 200 OK\r\n"), Err(CallError::Garbled)));
    assert!(matches!(
        parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        Err(CallError::Garbled)
    ));
}
