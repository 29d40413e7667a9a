//! Messages that two parsers could read differently, byte by byte: refused, and never seen by a workload.

use std::sync::atomic::Ordering;

use crate::support::{Raw, backend, canned, echo, edge};

/// What a client may not send, and the status it gets.
const REQUESTS: &[(&str, u16)] = &[
    // Framing: what smuggling is made of.
    (
        "POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 0x4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4 \t4\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nabcd", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    (
        "POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST /app/ HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent_Length: 3\r\n\r\n", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nConnection: close, host\r\n\r\n", 400),
    // Lines.
    ("GET /app/ HTTP/1.1\nHost: h\n\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\n X: folded\r\nHost: h\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost : h\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX\t: a\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nX(y): a\r\n\r\n", 400),
    // Host.
    ("GET /app/ HTTP/1.1\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET /app/ HTTP/1.1\r\nHost: h:80x\r\n\r\n", 400),
    ("GET http://a/app/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    // First line.
    ("GET  /app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/  HTTP/1.1\r\nHost: h\r\n\r\n", 505),
    ("GET /app/ HTTP/1.1 \r\nHost: h\r\n\r\n", 505),
    ("GET /app/\tHTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/\r\nHost: h\r\n\r\n", 400),
    ("GET /app/ HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ("GET /app/ HTTP/1.2\r\nHost: h\r\n\r\n", 505),
    ("GET /app/ http/1.1\r\nHost: h\r\n\r\n", 505),
    ("GE(T /app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (" GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/#f HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/\\x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /app/<x> HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET https://h/app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET http:///app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET http://u@h/app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("\r\n\r\nGET /app/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    // Methods and expectations that are not for an edge.
    ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405),
    ("TRACE /app/ HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ("POST /app/ HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417),
];

/// Bodies a client may not send.
const BODIES: &[&str] = &[
    "x\r\n",
    "\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\rabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "ffffffffffffffff\r\nabc",
    "1000000000000003\r\nabc\r\n0\r\n\r\n",
    "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "3;\0\r\nabc\r\n0\r\n\r\n",
    "0\r\nContent-Length: 3\r\n\r\n",
    "0\r\nHost: h\r\n\r\n",
    "0\r\nX : y\r\n\r\n",
    "0\r\nX: y\n\r\n",
    "0\r\n folded\r\n\r\n",
];

/// What a workload may not answer.
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2,2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 0200 OK\r\n\r\n",
    "HTTP/1.1 999 OK\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "hello\r\n\r\n",
];

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let (workload, connections) = backend(|mut raw, _| async move { drop(raw.message().await) }).await;
    let (_edge, addr) = edge(&[workload]);
    for &(request, status) in REQUESTS {
        let mut client = Raw::connect(addr).await;
        // A second request behind it: nothing of it may be answered.
        client.send(format!("{request}GET /app/smuggled HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        let reply = client.message().await.unwrap_or_else(|| panic!("no response to {request:?}"));
        assert_eq!(reply.status(), status, "{request:?}: {}", reply.text());
        assert_eq!(reply.field("connection"), Some("close"), "{request:?}");
        assert_eq!(client.rest().await, b"", "{request:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "a workload was asked");
}

#[tokio::test]
async fn a_body_that_can_be_read_in_two_ways_is_refused() {
    for body in BODIES {
        let (_edge, addr) = edge(&[echo("a").await]);
        let mut client = Raw::connect(addr).await;
        let head = "POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{body}GET /app/smuggled HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        let reply = client.message().await.unwrap_or_else(|| panic!("no response to {body:?}"));
        assert_eq!(reply.status(), 400, "{body:?}");
        assert_eq!(client.rest().await, b"", "{body:?}");
    }
}

#[tokio::test]
async fn a_response_that_can_be_read_in_two_ways_is_a_502_that_names_the_endpoint() {
    for response in RESPONSES {
        let (_edge, addr) = edge(&[canned(*response).await]);
        let mut client = Raw::connect(addr).await;
        let reply = client.get("/app/").await;
        assert_eq!(reply.status(), 502, "{response:?}");
        assert!(reply.text().starts_with("app/test/0 "), "{}", reply.text());
    }
}

#[tokio::test]
async fn what_follows_a_response_is_not_the_next_one() {
    let twice =
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad";
    let (_edge, addr) = edge(&[canned(twice).await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        assert_eq!(client.get("/app/").await.text(), "ok");
    }
}

#[tokio::test]
async fn an_upgrade_to_http2_is_not_passed_on() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for upgrade in ["h2c", "H2C, websocket", "HTTP/2.0"] {
        let request = format!(
            "GET /app/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let got = client.ask(&request).await.echoed();
        assert_eq!(
            (got.field("upgrade"), got.field("connection"), got.field("http2-settings")),
            (None, None, None)
        );
    }
}
