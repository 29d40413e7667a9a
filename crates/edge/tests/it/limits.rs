//! Clients that are silent, slow or large: each meets its bound. Limits are short here, so that nothing waits long.

use std::time::{Duration, Instant};

use edge::Limits;

use crate::support::{PATIENCE, Raw, backend, canned, echo, edge_with, eventually};

const SHORT: Duration = Duration::from_millis(60);

fn short() -> Limits {
    Limits { head_time: SHORT, idle: SHORT, rate_grace: SHORT, min_rate: 100_000, ..Limits::default() }
}

#[tokio::test]
async fn clients_that_keep_us_waiting_are_dropped() {
    let cases: &[(&str, &[u8], Option<u16>)] = &[
        ("silent", b"", None),
        ("half a head", b"GET /app/ HTTP/1.1\r\nHo", Some(408)),
        ("half an HTTP/2 preface", b"PRI * HTTP/2.0\r\n", Some(408)),
        ("half a body", b"POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", Some(408)),
        (
            "half a chunk",
            b"POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            Some(408),
        ),
        ("a preface and no more", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
        ("settings and no more", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", None),
    ];
    for (what, bytes, status) in cases {
        let (edge, addr) = edge_with(&[echo("a").await], short());
        let mut client = Raw::connect(addr).await;
        client.send(bytes).await;
        let began = Instant::now();
        if let Some(status) = status {
            assert_eq!(client.message().await.expect(what).status(), *status, "{what}");
        }
        client.rest().await;
        assert!(began.elapsed() < PATIENCE, "{what}: {:?}", began.elapsed());
        drop(client);
        eventually(what, || edge.stats().connections == 0).await;
    }
}

#[tokio::test]
async fn a_head_that_drips_is_dropped_however_steadily() {
    let (_edge, addr) = edge_with(&[echo("a").await], short());
    let mut client = Raw::connect(addr).await;
    let head = b"GET /app/ HTTP/1.1\r\nHost: h\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n";
    for byte in head {
        client.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(client.message().await.unwrap().status(), 408);
}

#[tokio::test]
async fn a_body_that_drips_is_dropped_and_a_steady_one_is_not() {
    // The first piece of the steady one, which comes with the head, pays for ten seconds.
    let limits = Limits { min_rate: 1000, head_time: PATIENCE, ..short() };
    let (_edge, addr) = edge_with(&[echo("a").await], limits);
    for (piece, status) in [(1, 408), (10_000, 200)] {
        let mut client = Raw::connect(addr).await;
        let head = format!("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", piece * 61);
        client.send(&[head.as_bytes(), &vec![b'x'; piece]].concat()).await;
        for _ in 0..60 {
            client.send(&vec![b'x'; piece]).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        assert_eq!(client.message().await.unwrap().status(), status, "{piece} bytes at a time");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let body = "x".repeat(32 << 20);
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (edge, addr) = edge_with(&[canned(reply).await], short());
    let mut client = Raw::connect(addr).await;
    client.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the client is dropped", || edge.stats().accepted == 1 && edge.stats().connections == 0).await;
}

#[tokio::test]
async fn a_slow_workload_is_not_the_clients_fault() {
    let script = |mut raw: Raw, _| async move {
        raw.message().await;
        tokio::time::sleep(SHORT * 4).await;
        raw.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await;
        tokio::time::sleep(SHORT * 4).await;
        raw.send(b"1\r\nb\r\n0\r\n\r\n").await;
    };
    let (workload, _) = backend(script).await;
    let limits = Limits { head_time: PATIENCE, ..short() };
    let (_edge, addr) = edge_with(&[workload], limits);
    assert_eq!(Raw::connect(addr).await.get("/app/").await.text(), "ab");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let limits = Limits { head_bytes: 1000, head_fields: 10, body_bytes: 100, ..Limits::default() };
    let (_edge, addr) = edge_with(&[echo("a").await], limits);
    let long = "x".repeat(2000);
    let chunk = format!("c8\r\n{}\r\n0\r\n\r\n", "x".repeat(200));
    for (request, status) in [
        (format!("GET /app/{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 414),
        (format!("GET /app/ HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /app/ HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(10)), 431),
        ("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n".to_owned(), 413),
        (format!("POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"), 413),
    ] {
        let mut client = Raw::connect(addr).await;
        client.send(request.as_bytes()).await;
        assert_eq!(client.message().await.unwrap().status(), status, "{}", &request[..40]);
    }
}

#[tokio::test]
async fn a_response_head_that_is_too_large_is_a_502() {
    let reply = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    let (_edge, addr) = edge_with(&[canned(reply).await], Limits::default());
    let reply = Raw::connect(addr).await.get("/app/").await;
    assert_eq!((reply.status(), reply.text().contains("head that is too long")), (502, true));
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_one_to_end() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let (_edge, addr) = edge_with(&[echo("a").await], limits);
    let mut first = Raw::connect(addr).await;
    let mut second = Raw::connect(addr).await;
    first.get("/app/").await;
    second.get("/app/").await;
    let mut third = Raw::connect(addr).await;
    third.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    second.get("/app/").await;
    let none = tokio::time::timeout(SHORT, third.more()).await;
    assert!(none.is_err(), "served beyond the limit");
    drop(first);
    assert_eq!(third.message().await.unwrap().status(), 200);
}
