//! Against a collector in this process, on real sockets.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should end there")]

mod receiver;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use receiver::{Receiver, attribute};
use scent::{Attributes, Kind, Record, Scent, Settings};
use telemetry::{Context, Retry, Sink as _, Span};
use tokio::task::{JoinHandle, JoinSet};

const LOCAL: &str = "127.0.0.1:0";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn settings(endpoint: &str, more: &[(&str, &str)]) -> Settings {
    let variable = |name: &str| more.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    Settings::read(Some(endpoint), variable).unwrap().unwrap()
}

fn own() -> Attributes {
    vec![("service.name".to_owned(), "mesh".to_owned()), ("mesh.node".to_owned(), "n1".to_owned())]
}

struct Rig {
    receiver: Receiver,
    address: SocketAddr,
    serving: JoinHandle<()>,
    scent: Scent,
    tasks: JoinSet<&'static str>,
}

impl Rig {
    async fn new(protocol: &str, more: &[(&str, &str)]) -> Self {
        let receiver = Receiver::default();
        let (address, serving) = receiver.listen(LOCAL.parse().unwrap(), protocol == "grpc", None).await;
        let more = [more, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]].concat();
        let (scent, tasks) = Scent::new(settings(&format!("http://{address}"), &more), own(), None);
        Self { receiver, address, serving, scent, tasks: tasks.into_iter().collect() }
    }
}

fn span(status: u16) -> Span {
    let context = Context::parse(format!("00-{TRACE}-00f067aa0ba902b7-01").as_bytes()).unwrap();
    let now = SystemTime::now();
    Span {
        context,
        parent: Some([9; 8]),
        started: now,
        ended: now + Duration::from_millis(3),
        method: "GET".to_owned(),
        path: "/billing/x".to_owned(),
        host: "example.org:8080".to_owned(),
        scheme: "http",
        version: "1.1",
        app: "billing".to_owned(),
        endpoint: Some("billing/n1/billing-abcde".to_owned()),
        status,
        retries: vec![Retry {
            at: now,
            endpoint: "billing/n2/billing-fghij".to_owned(),
            reason: "gone".to_owned(),
        }],
    }
}

fn line(text: &str) -> Record {
    let of = Arc::new(vec![("service.name".to_owned(), "billing".to_owned())]);
    Record::of_line(1_700_000_000_000, text.to_owned(), of)
}

#[tokio::test]
async fn spans_records_and_metrics_arrive_over_either_protocol() {
    for protocol in ["grpc", "http/protobuf"] {
        let more = [
            ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,mesh.node=n9"),
        ];
        let mut rig = Rig::new(protocol, &more).await;
        let exposed = || async {
            "# HELP a_total What.\n# TYPE a_total counter\na_total{app=\"x\\\"y\"} 3\n".to_owned()
        };
        rig.tasks.spawn(rig.scent.expose(exposed).unwrap());
        rig.scent.take(span(503));
        rig.scent.record(line(&format!("{{\"trace_id\":\"{TRACE}\",\"level\":\"warn\",\"msg\":\"m\"}}")));
        rig.receiver
            .until("one of each", |got| {
                !got.spans.is_empty() && !got.records.is_empty() && !got.metrics.is_empty()
            })
            .await;
        let got = rig.receiver.0.lock().unwrap();
        let (resource, span) = &got.spans[0];
        assert_eq!(attribute(&resource.attributes, "service.name"), Some("mesh"));
        assert_eq!(
            attribute(&resource.attributes, "mesh.node"),
            Some("n9"),
            "what was asked for comes first"
        );
        assert_eq!(
            (span.name.as_str(), span.kind, span.parent_span_id.as_slice()),
            ("GET billing", 2, &[9; 8][..])
        );
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 3_000_000);
        for (key, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/billing/x"),
            ("server.address", "example.org"),
            ("network.protocol.version", "1.1"),
            ("mesh.replica", "billing-abcde"),
            ("mesh.node", "n1"),
            ("error.type", "503"),
        ] {
            assert_eq!(attribute(&span.attributes, key), Some(value), "{key}");
        }
        assert_eq!(attribute(&span.events[0].attributes, "mesh.replica"), Some("billing-fghij"));
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        let (resource, record) = &got.records[0];
        assert_eq!(attribute(&resource.attributes, "service.name"), Some("billing"));
        assert_eq!((record.trace_id.len(), record.severity_text.as_str()), (16, "WARN"));
        let (_, metric) = &got.metrics[0];
        assert_eq!((metric.name.as_str(), metric.description.as_str()), ("a_total", "What."));
        assert!(got.headers.iter().all(|headers| headers["api-key"] == "a key"));
        assert_eq!(rig.scent.count(Kind::Traces).sent, 1);
    }
}

#[tokio::test]
async fn a_collector_that_was_away_gets_what_there_was_room_for() {
    let rig = Rig::new("grpc", &[]).await;
    rig.serving.abort();
    drop(rig.serving.await);
    // Nobody is there: nothing waits, and what finds no room is counted.
    for _ in 0..5_000 {
        rig.scent.take(span(200));
    }
    let dropped = rig.scent.count(Kind::Traces).dropped;
    assert!((2_000..5_000).contains(&dropped), "{dropped}");
    let (_, _serving) = rig.receiver.listen(rig.address, true, None).await;
    let kept = usize::try_from(5_000 - dropped).unwrap();
    rig.receiver.until("all that was kept", |got| got.spans.len() == kept).await;
    let counted = || rig.scent.count(Kind::Traces);
    while counted().sent < kept as u64 {
        tokio::task::yield_now().await;
    }
    assert_eq!((counted().sent, counted().dropped), (kept as u64, dropped));
}

#[tokio::test]
async fn what_is_refused_for_ever_is_dropped_and_what_is_refused_for_now_is_not() {
    for (protocol, never, later) in [("grpc", 3, 14), ("http/protobuf", 400, 503)] {
        let rig = Rig::new(protocol, &[]).await;
        rig.receiver.0.lock().unwrap().refuse = Some(later);
        rig.scent.take(span(200));
        rig.receiver.until("a second try", |got| got.requests >= 2).await;
        assert_eq!(rig.scent.count(Kind::Traces).dropped, 0, "{protocol}");
        rig.receiver.0.lock().unwrap().refuse = Some(never);
        while rig.scent.count(Kind::Traces).dropped == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.receiver.0.lock().unwrap().refuse = None;
        rig.receiver.0.lock().unwrap().reject = 1;
        rig.scent.take(span(201));
        rig.scent.take(span(202));
        rig.receiver.until("the next ones", |got| got.spans.len() == 2).await;
        rig.scent.close(Duration::from_secs(60)).await;
        let count = rig.scent.count(Kind::Traces);
        assert_eq!((count.sent, count.dropped), (1, 2), "{protocol}: one was refused, one of two rejected");
    }
}

#[tokio::test]
async fn what_is_queued_at_the_end_is_told_and_a_collector_that_is_gone_does_not_hold_it_up() {
    let mut rig = Rig::new("grpc", &[]).await;
    for _ in 0..600 {
        rig.scent.take(span(200));
        rig.scent.record(line("text"));
    }
    rig.scent.close(Duration::from_secs(60)).await;
    {
        let got = rig.receiver.0.lock().unwrap();
        assert_eq!((got.spans.len(), got.records.len()), (600, 600));
    }
    while rig.tasks.join_next().await.is_some() {}

    let rig = Rig::new("grpc", &[]).await;
    rig.serving.abort();
    drop(rig.serving.await);
    rig.scent.take(span(200));
    rig.scent.close(Duration::from_secs(60)).await;
    assert_eq!(rig.scent.count(Kind::Traces).dropped, 1);
}

#[tokio::test]
async fn only_a_collector_that_is_believed_is_told_over_tls() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let receiver = Receiver::default();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let (address, _serving) = receiver.listen(LOCAL.parse().unwrap(), true, Some(acceptor)).await;
    for believed in [false, true] {
        let mut roots = rustls::RootCertStore::empty();
        if believed {
            roots.add(made.cert.der().clone()).unwrap();
        }
        let client = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let settings = settings(&format!("https://localhost:{}", address.port()), &[]);
        let (scent, tasks) = Scent::new(settings, own(), Some(Arc::new(client)));
        let _tasks: JoinSet<_> = tasks.into_iter().collect();
        scent.take(span(200));
        scent.close(Duration::from_secs(60)).await;
        assert_eq!(scent.count(Kind::Traces).sent, u64::from(believed));
    }
    assert_eq!(receiver.0.lock().unwrap().spans.len(), 1);
}
