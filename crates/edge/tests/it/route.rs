//! Which app gets a request, and what is added to it on the way.

use edge::{Edge, Listen};

use crate::support::{LOCAL, Raw, app, config, echo, edge, table, target};

#[tokio::test]
async fn the_first_segment_names_the_app_and_is_taken_off() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for (asked, got) in [
        ("/app/hello", "GET /hello HTTP/1.1"),
        ("/app", "GET / HTTP/1.1"),
        ("/app/", "GET / HTTP/1.1"),
        ("/app?q=1", "GET /?q=1 HTTP/1.1"),
        ("/app/x/y?q=/z&w=%20", "GET /x/y?q=/z&w=%20 HTTP/1.1"),
        ("/app//x", "GET //x HTTP/1.1"),
        ("/app/app/x", "GET /app/x HTTP/1.1"),
    ] {
        let reply = client.get(asked).await;
        assert_eq!(reply.status(), 200, "{asked}");
        assert_eq!(reply.text().lines().nth(1), Some(got), "{asked}");
    }
}

#[tokio::test]
async fn host_names_and_absolute_targets_name_apps() {
    let mut config = config(1);
    config.hosts.insert("shop.example".to_owned(), app("shop"));
    let edge = Edge::new(config);
    let (a, b) = (echo("billing").await, echo("shop").await);
    edge.routes().set(&table(&[("billing", &[target("b", a)]), ("shop", &[target("s", b)])]));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    let mut client = Raw::connect(addr).await;
    for (target, host, who, got) in [
        ("/x", "billing.mesh.internal", "billing", "GET /x "),
        ("/shop/x", "billing.mesh.internal:8080", "billing", "GET /shop/x "),
        ("/x", "Billing.MESH.internal.", "billing", "GET /x "),
        ("http://billing.mesh.internal/x?y", "billing.mesh.internal", "billing", "GET /x?y "),
        ("http://billing.mesh.internal", "billing.mesh.internal", "billing", "GET / "),
        ("HTTP://billing.mesh.internal?y", "billing.mesh.internal", "billing", "GET /?y "),
        ("http://other.example/shop/x", "other.example", "shop", "GET /x "),
        ("/x", "Shop.Example:80", "shop", "GET /x "),
        ("/billing/x", "[::1]:8080", "billing", "GET /x "),
    ] {
        let reply = client.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let text = reply.text();
        assert_eq!((reply.status(), text.lines().next()), (200, Some(who)), "{target} {host}");
        assert!(text.lines().nth(1).unwrap().starts_with(got), "{target} {host}: {text}");
        assert!(text.contains(&format!("Host: {host}\r\n")), "{text}");
    }
}

#[tokio::test]
async fn unknown_apps_and_apps_without_replicas_are_told_apart() {
    let (edge, addr) = edge(&[]);
    let mut client = Raw::connect(addr).await;
    let unknown = client.get("/nope/x").await;
    assert_eq!(unknown.status(), 404);
    assert!(
        unknown.text().starts_with("there is no app \"nope\" here; apps: app\nrequest "),
        "{}",
        unknown.text()
    );
    assert!(unknown.text().contains(unknown.field("x-request-id").unwrap()));
    let empty = client.get("/app/x").await;
    assert_eq!((empty.status(), empty.field("retry-after")), (503, Some("1")));
    assert!(empty.text().starts_with("app has no replica that is ready"));
    let host = client.ask("GET /app/x HTTP/1.1\r\nHost: nope.mesh.internal\r\n\r\n").await;
    assert_eq!(host.status(), 404);
    let none = client.get("/").await;
    assert!(none.text().starts_with("the request names no app"), "{}", none.text());
    assert_eq!(edge.stats().unrouted, 3);
    assert_eq!(edge.stats().apps[&app("app")].errors(), 1);
}

#[tokio::test]
async fn requests_go_round() {
    let (_edge, addr) = edge(&[echo("a").await, echo("b").await, echo("c").await]);
    let mut client = Raw::connect(addr).await;
    let mut seen = String::new();
    for _ in 0..9 {
        seen.push_str(client.get("/app/").await.text().lines().next().unwrap());
    }
    assert_eq!(seen, "abcabcabc");
}

#[tokio::test]
async fn the_one_with_less_to_do_is_asked() {
    let edge = Edge::new(config(1));
    let busy = crate::support::backend(|mut raw: Raw, _| async move { drop(raw.rest().await) }).await.0;
    let mut table = table(&[("app", &[target("busy", busy), target("free", echo("free").await)])]);
    table.balance = edge::Balance::LeastOfTwo;
    edge.routes().set(&table);
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    let mut waiting = Raw::connect(addr).await;
    waiting.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    crate::support::eventually("it waits", || edge.stats().apps[&app("app")].open == 1).await;
    let mut client = Raw::connect(addr).await;
    for _ in 0..20 {
        assert_eq!(client.get("/app/").await.text().lines().next(), Some("free"));
    }
}

#[tokio::test]
async fn both_sides_get_time_and_id_and_lose_what_is_of_one_hop() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = Raw::connect(addr).await;
    let reply = client
        .ask(
            "GET /app/x HTTP/1.1\r\nHost: h:1\r\nX-Request-Id: my-id_1\r\nX-Mycelium-Edge: forged\r\n\
             X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: forged\r\nProxy: p\r\n\
             Connection: keep-alive, X-Secret\r\nX-Secret: s\r\nKeep-Alive: 5\r\nTE: gzip\r\nX-Kept: k\r\n\r\n",
        )
        .await;
    let got = reply.echoed();
    assert_eq!(reply.field("x-request-id"), Some("my-id_1"));
    assert!(types::Timestamp::from_millis(0) < reply.field("x-mycelium-edge").unwrap().parse().unwrap());
    for (name, value) in [
        ("x-request-id", Some("my-id_1")),
        ("x-mycelium-edge", reply.field("x-mycelium-edge")),
        ("x-forwarded-for", Some("9.9.9.9, 127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("h:1")),
        ("host", Some("h:1")),
        ("x-kept", Some("k")),
        ("connection", None),
        ("x-secret", None),
        ("keep-alive", None),
        ("proxy", None),
        ("te", None),
    ] {
        assert_eq!(got.field(name), value, "{name}");
        assert!(got.head.to_lowercase().matches(&format!("\n{name}:")).count() <= 1, "{name}");
    }
}
