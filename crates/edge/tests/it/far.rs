//! Far endpoints: left alone while a near one serves, there when none does.

use edge::{Balance, Edge, Listen, Table, Target};

use crate::support::{LOCAL, Raw, app, backend, config, echo, eventually, nobody, table, target};

async fn names(addr: std::net::SocketAddr, times: usize) -> Vec<String> {
    let mut client = Raw::connect(addr).await;
    let mut names = Vec::new();
    for _ in 0..times {
        let reply = client.ask("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        names.push(reply.text().lines().next().unwrap().to_owned());
    }
    names
}

fn far(id: &str, addr: std::net::SocketAddr) -> Target {
    Target { far: true, ..target(id, addr) }
}

fn started(table: &Table) -> (Edge, std::net::SocketAddr) {
    let edge = Edge::new(config(1));
    edge.routes().set(table);
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

#[tokio::test]
async fn a_near_one_gets_every_request_as_long_as_it_serves() {
    let targets = [far("f", echo("far").await), target("a", echo("near").await), far("g", echo("far").await)];
    for balance in [Balance::RoundRobin, Balance::LeastOfTwo] {
        let table = Table { balance, ..table(&[("app", &targets)]) };
        let (edge, addr) = started(&table);
        assert_eq!(names(addr, 6).await, ["near"; 6], "{balance:?}");
        // Out of the table's hands: what drains locally is no reason to fail.
        edge.routes().drained("a").await;
        assert_eq!(names(addr, 6).await, ["far"; 6], "{balance:?}");
        edge.routes().resumed("a");
        assert_eq!(names(addr, 6).await, ["near"; 6], "{balance:?}");
    }
}

#[tokio::test]
async fn a_far_one_takes_over_from_a_near_one_that_fails_until_it_is_back() {
    let reserved = nobody();
    let targets = [target("a", reserved), far("f", echo("far").await)];
    let (edge, addr) = started(&table(&[("app", &targets)]));
    assert_eq!(names(addr, 4).await, ["far"; 4]);
    assert!(edge.stats().apps[&app("app")].retries <= 2, "the one set aside is left alone");
    let listener = std::net::TcpListener::bind(reserved).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let mut raw = Raw::new(tcp);
            tokio::spawn(async move {
                while raw.message().await.is_some() {
                    raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnear").await;
                }
            });
        }
    });
    let mut last = String::new();
    while last != "near" {
        last = names(addr, 1).await.remove(0);
    }
    assert_eq!(names(addr, 4).await, ["near"; 4]);
}

#[tokio::test]
async fn far_ones_share_what_no_near_one_takes() {
    let (one, first) = backend(answers).await;
    let (other, second) = backend(answers).await;
    let (_edge, addr) = started(&table(&[("app", &[far("f", one), far("g", other)])]));
    names(addr, 4).await;
    eventually("both are asked", || {
        [&first, &second].iter().all(|n| n.load(std::sync::atomic::Ordering::SeqCst) == 1)
    })
    .await;
}

async fn answers(mut raw: Raw, _: usize) {
    while raw.message().await.is_some() {
        raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nfar").await;
    }
}
