//! Stopping and handing over: nothing that was begun is lost.

use std::time::{Duration, Instant};

use edge::{Edge, EdgeError, Listen};

use crate::support::{Flag, LOCAL, PATIENCE, Raw, config, echo, edge, eventually, table, target};

/// Asks without end; connects anew when told that the connection ends. Returns how many were answered.
async fn keep_asking(addr: std::net::SocketAddr, stop: Flag) -> usize {
    let mut client = Raw::connect(addr).await;
    let mut n = 0;
    while !stop.is_set() {
        let reply = client.ask("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        n += 1;
        if reply.field("connection") == Some("close") {
            client = Raw::connect(addr).await;
        }
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_edge_takes_over_without_a_failed_request() {
    let backends = [target("a", echo("a").await), target("b", echo("b").await)];
    let new = || {
        let edge = Edge::new(config(2));
        edge.routes().set(&table(&[("app", &backends)]));
        edge
    };
    let mut edge = new();
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    let stop = Flag::default();
    let clients: Vec<_> = (0..16).map(|_| tokio::spawn(keep_asking(addr, stop.clone()))).collect();
    for _ in 0..5 {
        let next = new();
        for listening in edge.listeners().unwrap() {
            assert_eq!(next.start(Listen::Adopt(listening.sockets)).unwrap(), addr);
        }
        assert_eq!(edge.stop(PATIENCE).await, 0);
        edge = next;
        let answered = || edge.stats().apps.values().map(edge::AppStats::requests).sum::<u64>();
        eventually("the new one answers", || answered() > 50).await;
    }
    stop.set();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn idle_connections_get_a_last_request_and_then_end() {
    let (edge, addr) = edge(&[echo("a").await]);
    let mut used = Raw::connect(addr).await;
    used.get("/app/").await;
    let mut unused = Raw::connect(addr).await;
    unused.get("/app/").await;
    let stopping = edge.clone();
    let stopped = tokio::spawn(async move { stopping.stop(Duration::from_secs(3)).await });
    eventually("it stops to listen", || std::net::TcpStream::connect(addr).is_err()).await;
    let reply = used.get("/app/").await;
    assert_eq!((reply.status(), reply.field("connection")), (200, Some("close")));
    assert_eq!(used.rest().await, b"");
    assert_eq!(unused.rest().await, b"");
    assert_eq!(stopped.await.unwrap(), 0);
    assert!(matches!(edge.start(Listen::Bind(LOCAL.parse().unwrap())), Err(EdgeError::Stopped)));
}

#[tokio::test]
async fn what_does_not_end_is_cut_and_counted() {
    let (silent, _) = crate::support::backend(|mut raw: Raw, _| async move { drop(raw.rest().await) }).await;
    let (edge, addr) = edge(&[silent]);
    let mut client = Raw::connect(addr).await;
    client.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("it is open", || edge.stats().connections == 1).await;
    let began = Instant::now();
    assert_eq!(edge.stop(Duration::from_millis(80)).await, 1);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn idle_connections_need_not_stay_as_long_as_open_requests_may() {
    let (edge, addr) = edge(&[echo("a").await]);
    let mut idle = Raw::connect(addr).await;
    idle.get("/app/").await;
    let mut open = Raw::connect(addr).await;
    open.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx").await;
    eventually("both are there", || edge.stats().connections == 2).await;
    let (stopping, began) = (edge.clone(), Instant::now());
    let stopped =
        tokio::spawn(
            async move { stopping.stop_after(Duration::from_millis(50), Duration::from_secs(60)).await },
        );
    assert_eq!(idle.rest().await, b"");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(!stopped.is_finished());
    open.send(b"y").await;
    assert_eq!(stopped.await.unwrap(), 0);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_its_holder() {
    let first = Edge::new(config(2));
    let addr = first.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    // Even though both would share.
    let error = Edge::new(config(2)).start(Listen::Bind(addr)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EdgeError::Taken { .. }), "{text}");
    assert!(
        text.contains(&addr.to_string()) && text.contains(&format!("(pid {})", std::process::id())),
        "{text}"
    );
    assert!(Edge::new(config(1)).start(Listen::Adopt(Vec::new())).is_err());
}

#[tokio::test]
async fn a_dropped_edge_lets_go_of_its_port() {
    let (edge, addr) = edge(&[]);
    drop(edge);
    eventually("the port is free", || std::net::TcpStream::connect(addr).is_err()).await;
    let edge = Edge::new(config(1));
    edge.start(Listen::Bind(addr)).unwrap();
}

#[test]
fn addresses_are_read_as_people_write_them() {
    for text in [":8080", "127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
        assert!(matches!(text.parse(), Ok(Listen::Bind(addr)) if addr.port() == 8080), "{text}");
    }
    for text in ["", "8080", ":x", "host:8080", ":70000"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}
