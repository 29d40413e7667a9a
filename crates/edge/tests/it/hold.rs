//! Apps that sleep: their requests are held until there is a replica, within bounds; and the load of those that scale.

use std::time::Duration;

use edge::{Edge, Limits, Listen, Scaling, Table, Target};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::{LOCAL, PATIENCE, Raw, app, backend, config, echo, eventually, table, target};

fn with(targets: &[Target], scaling: Scaling) -> Table {
    Table { scaling: [(app("app"), scaling)].into(), ..table(&[("app", targets)]) }
}

fn asleep() -> Scaling {
    Scaling { sleeps: true, ..Scaling::default() }
}

fn started(limits: Limits, table: &Table) -> (Edge, std::net::SocketAddr) {
    let edge = Edge::new(edge::Config { limits, ..config(1) });
    edge.routes().set(table);
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

const POST: &str = "POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn requests_wait_for_the_first_replica_and_none_is_lost() {
    let (edge, addr) = started(Limits::default(), &with(&[], asleep()));
    let clients: Vec<_> =
        (0..50).map(|_| tokio::spawn(async move { Raw::connect(addr).await.ask(POST).await })).collect();
    tokio::time::timeout(PATIENCE, edge.routes().woken()).await.expect("somebody is told");
    eventually("all are held", || edge.stats().apps[&app("app")].held == 50).await;
    assert_eq!(edge.stats().apps[&app("app")].open, 50);
    // A change that brings no replica leaves them waiting.
    edge.routes().set(&with(&[], asleep()));
    edge.routes().set(&with(&[target("a", echo("awake").await)], asleep()));
    for client in clients {
        let reply = client.await.unwrap();
        assert_eq!((reply.status(), reply.echoed().body), (200, b"hello".to_vec()));
    }
    assert_eq!((edge.stats().apps[&app("app")].held, edge.stats().apps[&app("app")].retries), (0, 0));
}

#[tokio::test]
async fn a_request_over_http2_waits_as_well() {
    let (edge, addr) = started(Limits::default(), &with(&[], asleep()));
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request =
        hyper::Request::post("http://h/app/x").body(Full::new(bytes::Bytes::from("hello"))).unwrap();
    let asked = tokio::spawn(async move { sender.send_request(request).await });
    eventually("it is held", || edge.stats().apps.get(&app("app")).is_some_and(|app| app.held == 1)).await;
    edge.routes().set(&with(&[target("a", echo("awake").await)], asleep()));
    let reply = asked.await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"awake\n") && body.ends_with(b"hello"), "{body:?}");
}

#[tokio::test]
async fn how_many_wait_and_for_how_long_is_bounded() {
    let limits = Limits { held: 2, hold: Duration::from_millis(300), ..Limits::default() };
    let (edge, addr) = started(limits, &with(&[], asleep()));
    let patient: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { Raw::connect(addr).await.get("/app/").await })).collect();
    eventually("two are held", || edge.stats().apps.get(&app("app")).is_some_and(|app| app.held == 2)).await;
    let refused = Raw::connect(addr).await.get("/app/").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("too many requests wait"), "{}", refused.text());
    for client in patient {
        let reply = client.await.unwrap();
        assert_eq!((reply.status(), reply.field("retry-after")), (503, Some("1")));
        assert!(reply.text().contains("app sleeps and did not wake within 0.3 s"), "{}", reply.text());
    }
    assert_eq!(edge.stats().apps[&app("app")].held, 0);
}

#[tokio::test]
async fn nobody_waits_for_what_is_known_not_to_come() {
    let (edge, addr) = started(Limits::default(), &with(&[], asleep()));
    let waiting = tokio::spawn(async move { Raw::connect(addr).await.get("/app/").await });
    eventually("it is held", || edge.stats().apps.get(&app("app")).is_some_and(|app| app.held == 1)).await;
    let trouble = Some("app-1 on node-1: exit status 3".to_owned());
    edge.routes().set(&with(&[], Scaling { trouble, ..asleep() }));
    for reply in [waiting.await.unwrap(), Raw::connect(addr).await.get("/app/").await] {
        assert_eq!(reply.status(), 503);
        assert!(
            reply.text().contains("app can't be woken: app-1 on node-1: exit status 3"),
            "{}",
            reply.text()
        );
    }
    edge.routes().set(&with(&[], Scaling::default()));
    let reply = Raw::connect(addr).await.get("/app/").await;
    assert!(reply.text().contains("no replica that is ready"), "a stopped app is refused: {}", reply.text());
}

#[tokio::test]
async fn what_takes_longer_than_the_budget_is_counted() {
    let budget = Some(Duration::from_millis(100));
    let slow = backend(|mut raw: Raw, _| async move {
        while let Some(request) = raw.message().await {
            let millis = if request.head.contains("/slow") { 150 } else { 0 };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let status = if request.head.contains("/fail") { "500 No" } else { "200 OK" };
            raw.send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        }
    });
    let (edge, addr) = started(
        Limits::default(),
        &with(&[target("a", slow.await.0)], Scaling { budget, ..Scaling::default() }),
    );
    let mut client = Raw::connect(addr).await;
    for path in ["/app/slow", "/app/fail"] {
        client.get(path).await;
    }
    let counted = || edge.stats().apps[&app("app")].clone();
    eventually("both are counted", || counted().requests() == 2).await;
    assert!(counted().slow >= 1 && counted().late >= counted().slow && counted().bad == 2, "{:?}", counted());
}

/// As long as a near replica has little to do it gets every request; then far ones share the work.
#[tokio::test]
async fn far_ones_take_their_part_of_what_a_near_one_has_too_much_of() {
    let held = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let server = |name: &'static str| {
        let held = held.clone();
        backend(move |mut raw: Raw, _| {
            let held = held.clone();
            async move {
                while raw.message().await.is_some() {
                    drop(held.acquire().await);
                    raw.send(
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()).as_bytes(),
                    )
                    .await;
                }
            }
        })
    };
    let near = target("a", server("near").await.0);
    let far = Target { far: true, ..target("f", server("far!").await.0) };
    let elastic = Scaling { elastic: true, ..Scaling::default() };
    let (edge, addr) = started(Limits::default(), &with(&[near, far], elastic));
    let mut clients = Vec::new();
    for open in 1..=20 {
        clients.push(tokio::spawn(async move { Raw::connect(addr).await.get("/app/").await.text() }));
        eventually("it is open", || edge.stats().apps[&app("app")].open == open).await;
    }
    held.add_permits(1000);
    let mut names = Vec::new();
    for client in clients {
        names.push(client.await.unwrap());
    }
    assert_eq!(names[..2], ["near", "near"], "{names:?}");
    let far = names.iter().filter(|name| *name == "far!").count();
    assert!((8..=10).contains(&far), "{names:?}");
}
