//! Bodies both ways: lengths, chunks, streams, old clients, early answers.

use crate::support::{PATIENCE, Raw, backend, canned, echo, edge};

#[tokio::test]
async fn bodies_of_every_size_arrive_whole_both_ways() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for size in [0_usize, 1, 13, 2_000, 2_049, 32_000, 65_536, 100_000, 3_000_000] {
        let body: String = (0..size).map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap())).collect();
        let sized = format!("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n{body}");
        let reply = client.ask(&sized).await.echoed();
        assert_eq!(reply.body.len(), size);
        assert!(reply.body == body.as_bytes(), "{size}");
        let mut chunked = "POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for piece in body.as_bytes().chunks(7_001) {
            chunked.push_str(&format!(
                "{:x};ext=1\r\n{}\r\n",
                piece.len(),
                std::str::from_utf8(piece).unwrap()
            ));
        }
        chunked.push_str("0\r\nX-Check: sum\r\n\r\n");
        let reply = client.ask(&chunked).await;
        assert_eq!(reply.status(), 200, "{size}: {}", reply.text());
        let reply = reply.echoed();
        assert!(reply.body == body.as_bytes(), "chunked {size}");
    }
}

#[tokio::test]
async fn a_request_cut_at_any_byte_is_still_one() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let request = b"POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let mut client = Raw::connect(addr).await;
    client.stream.set_nodelay(true).unwrap();
    for cut in 1..request.len() {
        client.send(&request[..cut]).await;
        tokio::task::yield_now().await;
        client.send(&request[cut..]).await;
        let reply = client.message().await.unwrap();
        assert_eq!((reply.status(), reply.echoed().body), (200, b"abcde".to_vec()), "{cut}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    let mut all = String::new();
    for i in 0..50 {
        all.push_str(&format!("POST /app/{i} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"));
    }
    client.send(all.as_bytes()).await;
    for i in 0..50 {
        let got = client.message().await.unwrap().echoed();
        assert!(got.head.starts_with(&format!("POST /{i} ")), "{}", got.head);
    }
}

#[tokio::test]
async fn what_has_no_body_keeps_the_connection() {
    let reply = "HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\netag: x\r\n\r\n";
    let (_edge, addr) = edge(&[canned(reply).await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        let reply = client.get("/app/").await;
        assert_eq!((reply.status(), reply.field("content-length")), (304, Some("100")));
    }
    let (_edge, addr) = crate::support::edge(&[canned("HTTP/1.1 204 No Content\r\n\r\n").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        assert_eq!(client.get("/app/").await.status(), 204);
    }
    let (_edge, addr) = crate::support::edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        let reply = client.ask("HEAD /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!((reply.status(), reply.body.len()), (200, 0));
        assert!(reply.field("content-length").is_some());
    }
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let script = |mut raw: Raw, _| async move {
        raw.until(b"\r\n\r\n").await;
        raw.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        for _ in 0..5 {
            // The next event follows only what the test sends back after it has seen the last.
            raw.send(b"8\r\ndata: x\n\r\n").await;
            raw.until(b"!").await;
        }
    };
    let (workload, _) = backend(script).await;
    let (_edge, addr) = edge(&[workload]);
    let mut client = Raw::connect(addr).await;
    client.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.until(b"\r\n\r\n").await.unwrap();
    for _ in 0..5 {
        client.until(b"data: x\n").await.unwrap();
        client.send(b"1\r\n!\r\n").await;
    }
}

#[tokio::test]
async fn trailers_pass() {
    let reply = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n";
    let (_edge, addr) = edge(&[canned(reply).await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..2 {
        let reply = client.get("/app/").await;
        assert_eq!((reply.text().as_str(), reply.trailers.as_str()), ("abc", "x-sum: 7\r\n"));
    }
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let script = |mut raw: Raw, _| async move {
        raw.message().await;
        raw.send(b"HTTP/1.1 200 OK\r\n\r\nall of it").await;
    };
    let (workload, _) = backend(script).await;
    let (_edge, addr) = edge(&[workload]);
    let reply = Raw::connect(addr).await.get("/app/").await;
    assert_eq!((reply.text().as_str(), reply.field("connection")), ("all of it", Some("close")));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_seen_to() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let script = move |mut raw: Raw, _| async move {
            raw.message().await;
            raw.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello").as_bytes()).await;
        };
        let (workload, _) = backend(script).await;
        let (edge, addr) = edge(&[workload]);
        let mut client = Raw::connect(addr).await;
        client.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(client.message().await, None, "{head}");
        drop(edge);
    }
}

#[tokio::test]
async fn old_clients_get_what_they_can_read() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    let (_edge, addr) = edge(&[canned(chunked).await]);
    let mut client = Raw::connect(addr).await;
    let reply = client.ask("GET /app/ HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.text().as_str(), reply.field("transfer-encoding")), ("abcdefg", None));
    let (_edge, addr) = crate::support::edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        let reply = client.ask("GET /app/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        assert_eq!(reply.field("connection"), Some("keep-alive"));
        assert_eq!(reply.echoed().field("host"), Some("app.mesh.internal"));
    }
    let reply = client.ask("GET /app/ HTTP/1.0\r\n\r\n").await;
    assert_eq!(reply.field("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_client_that_expects_to_be_told_to_go_on_is() {
    let script = |mut raw: Raw, _| async move {
        let head = raw.until(b"\r\n\r\n").await.unwrap();
        assert!(String::from_utf8(head).unwrap().contains("Expect: 100-continue"));
        raw.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
        let body = raw.until(b"5").await.unwrap();
        raw.send(&[b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", &body[..]].concat()).await;
    };
    let (workload, _) = backend(script).await;
    let (_edge, addr) = edge(&[workload]);
    let mut client = Raw::connect(addr).await;
    client.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(client.message().await.unwrap().head, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
    assert_eq!(client.message().await.unwrap().head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"12345").await;
    assert_eq!(client.message().await.unwrap().text(), "12345");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let script = |mut raw: Raw, _| async move {
        raw.until(b"\r\n\r\n").await;
        raw.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
        // Closed with the body unread: a reset.
    };
    let (workload, _) = backend(script).await;
    let (_edge, addr) = edge(&[workload]);
    for _ in 0..20 {
        let mut client = Raw::connect(addr).await;
        client.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n").await;
        client.send(&[b'x'; 100_000]).await;
        let reply = tokio::time::timeout(PATIENCE, client.message()).await.unwrap();
        if let Some(reply) = reply {
            assert!([413, 502].contains(&reply.status()), "{}", reply.head);
            assert_eq!(reply.field("connection"), Some("close"));
        }
    }
}
