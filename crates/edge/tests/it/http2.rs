//! HTTP/2 on either side: gRPC-like streams with trailers, translation both ways, GOAWAY.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use edge::{Edge, Listen, Protocol, Target};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    LOCAL, PATIENCE, Raw, app, backend, config, echo, edge, eventually, nobody, table, target,
};

type Body = BoxBody<Bytes, Infallible>;

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// Frames that a test sends when it likes.
fn channel() -> (tokio::sync::mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (Ok(frame), receiver))
    });
    // Only the stream is shared between threads, and only in turn.
    (sender, StreamBody::new(Box::pin(stream)).boxed())
}

fn trailers(name: &'static str, value: &'static str) -> Frame<Bytes> {
    let mut map = HeaderMap::new();
    map.insert(name, value.parse().unwrap());
    Frame::trailers(map)
}

/// Echoes each frame as it comes; then trailers: the request's own `x-sum`, and `grpc-status`.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let described = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
    if request.uri().path() == "/describe" {
        return Ok(Response::new(full(described)));
    }
    let (sender, body) = channel();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        let mut sum = None;
        while let Some(Ok(frame)) = incoming.frame().await {
            match frame.into_data() {
                Ok(data) => drop(sender.send(Frame::data(data)).await),
                Err(frame) => sum = frame.into_trailers().unwrap().remove("x-sum"),
            }
        }
        let mut map = HeaderMap::new();
        map.insert("grpc-status", "0".parse().unwrap());
        if let Some(sum) = sum {
            map.insert("x-sum", sum);
        }
        let _ = sender.send(Frame::trailers(map)).await;
    });
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

pub async fn h2c_workload() -> SocketAddr {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(tcp), service_fn(answer)));
        }
    });
    addr
}

fn edge_to_h2c(backends: &[SocketAddr]) -> (Edge, SocketAddr) {
    let edge = Edge::new(config(1));
    let of = |(i, &addr): (usize, &SocketAddr)| Target {
        id: format!("g/{i}"),
        reach: addr.into(),
        protocol: Protocol::H2c,
        far: false,
    };
    let targets: Vec<_> = backends.iter().enumerate().map(of).collect();
    edge.routes().set(&table(&[("app", &targets)]));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

pub async fn http2_over<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> SendRequest<Body> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub async fn http2(addr: SocketAddr) -> SendRequest<Body> {
    http2_over(TcpStream::connect(addr).await.unwrap()).await
}

fn request(method: &str, addr: SocketAddr, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(format!("http://{addr}{path}")).body(body).unwrap()
}

pub async fn get(sender: &mut SendRequest<Body>, addr: SocketAddr, path: &str) -> (u16, HeaderMap, String) {
    let response = sender.send_request(request("GET", addr, path, full(""))).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_grpc_like_stream_flows_both_ways_with_trailers() {
    let (edge, addr) = edge_to_h2c(&[h2c_workload().await]);
    let mut client = http2(addr).await;
    for _ in 0..3 {
        let (sender, body) = channel();
        let mut call = request("POST", addr, "/app/Service/Call", body);
        call.headers_mut().insert("te", "trailers".parse().unwrap());
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let mut response = client.send_request(call).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(
            response.headers().contains_key("x-mycelium-edge")
                && response.headers().contains_key("x-request-id")
        );
        for i in 0..20 {
            // Each message is answered before the next is sent.
            sender.send(Frame::data(Bytes::from(format!("message {i}")))).await.unwrap();
            let data = response.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(data, format!("message {i}"));
        }
        sender.send(trailers("x-sum", "20")).await.unwrap();
        drop(sender);
        let got = response.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!((&got["grpc-status"], &got["x-sum"]), (&"0".parse().unwrap(), &"20".parse().unwrap()));
        assert!(response.frame().await.is_none());
    }
    drop(client);
    eventually("all is counted", || edge.stats().apps[&app("app")].classes[1] == 3).await;
    edge.routes().drained("g/0").await;
}

#[tokio::test]
async fn a_workload_that_speaks_http2_gets_the_same_fields() {
    let (_edge, addr) = edge_to_h2c(&[h2c_workload().await]);
    let (status, _, text) = get(&mut http2(addr).await, addr, "/app/describe").await;
    assert_eq!(status, 200);
    assert!(text.starts_with(&format!("GET http://{addr}/describe ")), "{text}");
    for name in ["x-request-id", "x-mycelium-edge", "x-forwarded-for", "x-forwarded-proto"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let over_1 = Raw::connect(addr).await.get("/app/describe").await;
    assert_eq!(over_1.status(), 200);
    assert!(over_1.text().starts_with("GET http://test/describe "), "{}", over_1.text());
    assert!(over_1.text().contains("\"x-forwarded-for\": \"127.0.0.1\""), "{}", over_1.text());
}

#[tokio::test]
async fn an_http1_client_reaches_a_workload_that_speaks_http2() {
    let (_edge, addr) = edge_to_h2c(&[h2c_workload().await]);
    let mut client = Raw::connect(addr).await;
    for size in [0_usize, 5, 100_000, 200_000] {
        let body = "y".repeat(size);
        let sized = format!("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n{body}");
        let reply = client.ask(&sized).await;
        assert_eq!((reply.status(), reply.body.len()), (200, size));
        assert_eq!(reply.trailers, "grpc-status: 0\r\n");
        let chunked = format!(
            "POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n{}0\r\nx-sum: 9\r\n\r\n",
            if size == 0 { String::new() } else { format!("{size:x}\r\n{body}\r\n") }
        );
        let reply = client.ask(&chunked).await;
        assert_eq!(
            (reply.body.len(), reply.trailers.contains("x-sum: 9")),
            (size + 1, true),
            "{}",
            reply.trailers
        );
    }
    client.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.message().await.unwrap().status(), 100);
    client.send(b"ok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    let old = client.ask("GET /app/describe HTTP/1.0\r\n\r\n").await;
    assert!(old.text().starts_with("GET http://app.mesh.internal/describe "), "{}", old.text());
}

#[tokio::test]
async fn a_stream_to_an_http1_client_is_not_held_back() {
    let (_edge, addr) = edge_to_h2c(&[h2c_workload().await]);
    let mut client = Raw::connect(addr).await;
    client.send(b"POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.until(b"\r\n\r\n").await.unwrap();
    for _ in 0..5 {
        client.send(b"4\r\nping\r\n").await;
        client.until(b"ping").await.unwrap();
    }
    client.send(b"0\r\n\r\n").await;
    client.until(b"grpc-status: 0\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn http2_clients_reach_http1_workloads() {
    let (edge, addr) = edge(&[echo("a").await]);
    let mut client = http2(addr).await;
    let mut call = request("POST", addr, "/app/x?y", full("z".repeat(200_000)));
    call.headers_mut().append("cookie", "a=1".parse().unwrap());
    call.headers_mut().append("cookie", "b=2".parse().unwrap());
    let response = client.send_request(call).await.unwrap();
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.starts_with("a\nPOST /x?y HTTP/1.1\r\n"), "{}", &text[..200]);
    assert!(
        text.contains("cookie: a=1; b=2\r\n") && text.contains(&format!("host: {addr}\r\n")),
        "{}",
        &text[..400]
    );
    assert!(text.ends_with(&"z".repeat(200_000)));
    let (status, headers, text) = get(&mut client, addr, "/nope/").await;
    assert_eq!((status, headers.contains_key("x-request-id")), (404, true));
    assert!(text.starts_with("there is no app \"nope\" here; apps: app"));
    for _ in 0..50 {
        assert_eq!(get(&mut client, addr, "/app/").await.0, 200);
    }
    assert_eq!(edge.stats().apps[&app("app")].errors(), 0);
}

#[tokio::test]
async fn over_http2_too_the_next_endpoint_is_tried() {
    let (dead, _) = backend(|mut raw: Raw, _| async move { drop(raw.message().await) }).await;
    for first in [dead, nobody()] {
        let (_edge, addr) = edge(&[first, echo("b").await]);
        let mut client = http2(addr).await;
        for _ in 0..6 {
            assert_eq!(get(&mut client, addr, "/app/").await.0, 200);
        }
    }
    let (_edge, addr) = edge_to_h2c(&[nobody(), h2c_workload().await]);
    let mut client = http2(addr).await;
    for _ in 0..6 {
        assert_eq!(get(&mut client, addr, "/app/describe").await.0, 200);
    }
}

#[tokio::test]
async fn a_stop_says_goaway_and_finishes_what_is_open() {
    let (edge, addr) = edge_to_h2c(&[h2c_workload().await]);
    let mut client = http2(addr).await;
    let (sender, body) = channel();
    let mut response = client.send_request(request("POST", addr, "/app/x", body)).await.unwrap();
    let stopping = edge.clone();
    let stopped = tokio::spawn(async move { stopping.stop(PATIENCE).await });
    eventually("it stops to listen", || std::net::TcpStream::connect(addr).is_err()).await;
    sender.send(Frame::data(Bytes::from_static(b"last"))).await.unwrap();
    assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "last");
    drop(sender);
    assert!(response.frame().await.unwrap().unwrap().is_trailers());
    drop(response);
    assert_eq!(stopped.await.unwrap(), 0);
    assert!(client.ready().await.is_err() || client.is_closed());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_and_a_slow_workload_is_not() {
    let body = "x".repeat(8 << 20);
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let limits = edge::Limits {
        rate_grace: Duration::from_millis(700),
        idle: Duration::from_millis(700),
        min_rate: 100_000,
        ..Default::default()
    };
    let (edge, addr) = crate::support::edge_with(&[crate::support::canned(large).await], limits.clone());
    let mut client = http2(addr).await;
    let response = client.send_request(request("GET", addr, "/app/", full(""))).await.unwrap();
    eventually("the client is dropped", || edge.stats().connections == 0).await;
    assert!(response.into_body().collect().await.is_err());
    let slow = |mut raw: Raw, _| async move {
        raw.message().await;
        for piece in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "o", "k"] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            raw.send(piece.as_bytes()).await;
        }
    };
    let (edge, addr) = crate::support::edge_with(&[backend(slow).await.0], limits);
    let mut client = http2(addr).await;
    assert_eq!(get(&mut client, addr, "/app/").await.2, "ok");
    eventually("idle connections end", || edge.stats().connections == 0).await;
}

#[tokio::test]
async fn requests_that_are_not_for_an_edge_are_refused_over_http2_too() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let mut client = http2(addr).await;
    let mut two_hosts = request("GET", addr, "/app/", full(""));
    two_hosts.headers_mut().insert("host", "other".parse().unwrap());
    assert_eq!(client.send_request(two_hosts).await.unwrap().status(), 400);
    assert_eq!(client.send_request(request("TRACE", addr, "/app/", full(""))).await.unwrap().status(), 405);
    let _ = target("unused", addr);
}
