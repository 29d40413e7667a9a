//! Trace contexts through the edge, and the spans that it tells of.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use edge::{Config, Edge, Listen, Protocol, Target, Tracing};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use telemetry::{Context, Sampler, Sink, Span};
use tokio::net::TcpStream;

use crate::http2::h2c_workload;
use crate::support::{LOCAL, Message, Raw, config, echo, edge, eventually, nobody, table, target};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

impl Sink for Spans {
    fn take(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Spans {
    /// The next span; it is told after the client has its response.
    async fn next(&self) -> Span {
        eventually("a span", || !self.0.lock().unwrap().is_empty()).await;
        self.0.lock().unwrap().remove(0)
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

fn tracing(sampler: &str) -> (Spans, Config) {
    let spans = Spans::default();
    let sampler = Sampler::read(Some(sampler), None).unwrap();
    let tracing = Some(Tracing { sampler, sink: Arc::new(spans.clone()) });
    (spans, Config { tracing, ..config(1) })
}

fn serve(config: Config, targets: &[Target]) -> (Edge, SocketAddr) {
    let edge = Edge::new(config);
    edge.routes().set(&table(&[("app", targets)]));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

/// What a workload gets of these header lines.
async fn through(addr: SocketAddr, lines: &str) -> Message {
    let mut client = Raw::connect(addr).await;
    client.ask(&format!("GET /app/a/b?secret HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).await.echoed()
}

fn context(message: &Message) -> Context {
    Context::parse(message.field("traceparent").expect("a context").as_bytes()).expect("a valid one")
}

#[tokio::test]
async fn an_edge_that_records_nothing_passes_on_what_is_valid_and_begins_nothing() {
    let (_edge, addr) = edge(&[echo("a").await]);
    let got =
        through(addr, &format!("TraceParent: {PARENT}\r\ntracestate: a=1\r\ntracestate: b=2\r\n")).await;
    assert_eq!(got.field("traceparent"), Some(PARENT));
    assert!(got.head.contains("tracestate: a=1\r\ntracestate: b=2\r\n"), "{}", got.head);
    let bad_state = through(addr, &format!("traceparent: {PARENT}\r\ntracestate: a=1,a=1\r\n")).await;
    assert_eq!((bad_state.field("traceparent"), bad_state.field("tracestate")), (Some(PARENT), None));
    for garbage in [
        String::new(),
        "traceparent: garbage\r\ntracestate: a=1\r\n".to_owned(),
        format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\ntracestate: a=1\r\n"),
        "tracestate: a=1\r\n".to_owned(),
    ] {
        let got = through(addr, &garbage).await;
        assert_eq!((got.field("traceparent"), got.field("tracestate")), (None, None), "{garbage}");
    }
}

#[tokio::test]
async fn a_recorded_request_is_a_span_below_its_clients_and_above_the_workloads() {
    let (spans, config) = tracing("always_on");
    let (_edge, addr) = serve(config, &[target("app/n1/app-r1", echo("a").await)]);
    let parent = Context::parse(PARENT.as_bytes()).unwrap();
    let got = through(addr, &format!("traceparent: {PARENT}\r\ntracestate: a=1\r\n")).await;
    let (told, span) = (context(&got), spans.next().await);
    assert_eq!(got.field("tracestate"), Some("a=1"));
    assert_eq!((told.trace, told.is_sampled()), (parent.trace, true));
    assert_eq!((span.context, span.parent), (told, Some(parent.span)));
    assert_ne!(told.span, parent.span);
    let of_request =
        (span.method.as_str(), span.path.as_str(), span.host.as_str(), span.scheme, span.version);
    assert_eq!(of_request, ("GET", "/app/a/b", "h", "http", "1.1"), "the query isn't told");
    assert_eq!((span.app.as_str(), span.status), ("app", 200));
    assert_eq!(span.endpoint.as_deref(), Some("app/n1/app-r1"));
    assert!(span.ended >= span.started && span.retries.is_empty());

    for garbage in ["", "traceparent: 00-0\r\ntracestate: a=1\r\n"] {
        let got = through(addr, garbage).await;
        let (told, span) = (context(&got), spans.next().await);
        assert_ne!(told.trace, parent.trace, "a trace of its own");
        assert_eq!((span.context, span.parent, got.field("tracestate")), (told, None, None));
    }
}

#[tokio::test]
async fn what_others_decided_not_to_record_is_not() {
    let (spans, config) = tracing("parentbased_always_on");
    let (_edge, addr) = serve(config, &[target("app/n1/app-r1", echo("a").await)]);
    let got = through(addr, &format!("traceparent: {UNSAMPLED}\r\n")).await;
    assert!(!context(&got).is_sampled());
    through(addr, "").await;
    assert_eq!(spans.next().await.parent, None, "the first is none");
    assert!(spans.is_empty());
}

#[tokio::test]
async fn tries_that_failed_are_told() {
    let (spans, config) = tracing("always_on");
    let targets = [target("app/n1/app-r1", nobody()), target("app/n2/app-r2", echo("b").await)];
    let (_edge, addr) = serve(config, &targets);
    let span = loop {
        through(addr, "").await;
        let span = spans.next().await;
        if !span.retries.is_empty() {
            break span;
        }
    };
    assert_eq!((span.status, span.endpoint.as_deref()), (200, Some("app/n2/app-r2")));
    assert_eq!(span.retries[0].endpoint, "app/n1/app-r1");
    assert!(span.retries[0].reason.contains("can't be connected to"), "{:?}", span.retries);
}

#[tokio::test]
async fn http2_on_either_side_is_the_same() {
    let (spans, config) = tracing("always_on");
    let workload = h2c_workload().await;
    let target = Target { protocol: Protocol::H2c, ..target("app/n1/app-r1", workload) };
    let (_edge, addr) = serve(config, &[target]);
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{addr}/app/describe"))
        .header("traceparent", PARENT)
        .header("tracestate", "a=1")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let span = spans.next().await;
    let told = String::from_utf8(span.context.text().to_vec()).unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains(&told) && !body.contains(PARENT) && body.contains("a=1"), "{body}");
    assert_eq!((span.version, span.path.as_str(), span.status), ("2", "/app/describe", 200));
    assert_eq!(span.endpoint.as_deref(), Some("app/n1/app-r1"));

    let mut client = Raw::connect(addr).await;
    let ask = format!("GET /app/describe HTTP/1.1\r\nHost: h\r\ntraceparent: {PARENT}\r\n\r\n");
    let reply = client.ask(&ask).await;
    let span = spans.next().await;
    let told = String::from_utf8(span.context.text().to_vec()).unwrap();
    assert!(reply.text().contains(&told), "{}", reply.text());
    assert_eq!((span.version, span.status), ("1.1", 200));
    assert_eq!(span.endpoint.as_deref(), Some("app/n1/app-r1"));
}
