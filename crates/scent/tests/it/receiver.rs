//! A collector in this process: OTLP over gRPC and over HTTP, told how to answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// What should come comes within this time on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was received.
#[derive(Default)]
pub struct Got {
    pub spans: Vec<(Resource, Span)>,
    pub metrics: Vec<(Resource, Metric)>,
    pub records: Vec<(Resource, LogRecord)>,
    pub headers: Vec<HeaderMap>,
    /// Requests, taken or not.
    pub requests: usize,
    /// What the next requests are answered with: a gRPC status, or an HTTP status.
    pub refuse: Option<u32>,
    /// How many spans of each request are said to be rejected.
    pub reject: i64,
}

#[derive(Clone, Default)]
pub struct Receiver(pub Arc<Mutex<Got>>);

impl Receiver {
    /// One that listens there.
    pub async fn listen(
        &self,
        at: SocketAddr,
        grpc: bool,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(at).await.expect("a free port");
        let (address, receiver) = (listener.local_addr().expect("an address"), self.clone());
        let serving = tokio::spawn(async move {
            // Ends its connections with itself, as a collector does that is stopped.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (receiver, tls) = (receiver.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => receiver.serve(tcp, grpc).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                receiver.serve(stream, true).await;
                            }
                        }
                    }
                });
            }
        });
        (address, serving)
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S, grpc: bool) {
        let service = service_fn(move |request| {
            let receiver = self.clone();
            async move { Ok::<_, Infallible>(receiver.answer(request).await) }
        });
        let io = TokioIo::new(stream);
        if grpc {
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(serving.serve_connection(io, service).await);
        } else {
            drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
        let grpc = request.headers().get("content-type").is_some_and(|t| t == "application/grpc");
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let message = if grpc { body.slice(5..) } else { body };
        let (status, answer) = self.take(parts.uri.path(), &message, parts.headers);
        if !grpc {
            let status = u16::try_from(status.unwrap_or(200)).expect("an HTTP status");
            return Response::builder()
                .status(status)
                .body(Full::new(answer.into()).boxed())
                .expect("a response");
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.unwrap_or(0).into());
        let mut framed = vec![0];
        framed.extend(u32::try_from(answer.len()).expect("a short answer").to_be_bytes());
        framed.extend(answer);
        let frames = [Ok(Frame::data(Bytes::from(framed))), Ok(Frame::trailers(trailers))];
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        Response::builder()
            .header("content-type", "application/grpc")
            .body(BodyExt::boxed(body))
            .expect("a response")
    }

    fn take(&self, path: &str, message: &[u8], headers: HeaderMap) -> (Option<u32>, Vec<u8>) {
        let mut got = self.0.lock().expect("not poisoned");
        got.requests += 1;
        got.headers.push(headers);
        if let Some(status) = got.refuse {
            return (Some(status), Vec::new());
        }
        let mut answer = Vec::new();
        match path {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                let request = ExportTraceServiceRequest::decode(message).expect("spans");
                for of in request.resource_spans {
                    let resource = of.resource.unwrap_or_default();
                    let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    got.spans.extend(spans.map(|span| (resource.clone(), span)));
                }
                if got.reject > 0 {
                    let partial =
                        ExportTracePartialSuccess { rejected_spans: got.reject, ..Default::default() };
                    answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
                }
            }
            "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                let request = ExportMetricsServiceRequest::decode(message).expect("metrics");
                for of in request.resource_metrics {
                    let resource = of.resource.unwrap_or_default();
                    let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                    got.metrics.extend(metrics.map(|metric| (resource.clone(), metric)));
                }
            }
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                let request = ExportLogsServiceRequest::decode(message).expect("records");
                for of in request.resource_logs {
                    let resource = of.resource.unwrap_or_default();
                    let records = of.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                    got.records.extend(records.map(|record| (resource.clone(), record)));
                }
            }
            other => panic!("nobody asks for {other}"),
        }
        (None, answer)
    }

    /// Waits until `holds` of what was received.
    pub async fn until(&self, what: &str, holds: impl Fn(&Got) -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !holds(&self.0.lock().expect("not poisoned")) {
            assert!(tokio::time::Instant::now() < end, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The text of an attribute.
pub fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
