//! `--otlp-endpoint`, against a real OpenTelemetry collector: that of `cargo xtask tools`, or `otelcol` in the `PATH`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, repository, workload};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// What should come comes within this time on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector that writes what it is told into a file, one JSON text a line.
struct Collector {
    child: Child,
    program: PathBuf,
    config: PathBuf,
    told: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Collector {
    /// `None`, loudly, where there is none.
    #[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
    fn start(place: &Place) -> Option<Self> {
        let Some(program) = program() else {
            println!("SKIPPED: there is no otelcol; `cargo xtask tools` builds one, with Go");
            return None;
        };
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (grpc, http) = (free(), free());
        let told = place.work().join("told.json");
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             exporters: {{file: {{path: '{}', append: true, flush_interval: 50ms}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n\
             \x20   traces: {{receivers: [otlp], exporters: [file]}}\n\
             \x20   metrics: {{receivers: [otlp], exporters: [file]}}\n\
             \x20   logs: {{receivers: [otlp], exporters: [file]}}\n",
            told.display()
        );
        let config = place.write("collector.yaml", &config);
        let child = Self::spawn(&program, &config);
        Some(Self { child, program, config, told, grpc, http })
    }

    fn spawn(program: &Path, config: &Path) -> Child {
        let log =
            std::fs::File::options().create(true).append(true).open(config.with_extension("log")).unwrap();
        let config = format!("--config=file:{}", config.display());
        Command::new(program).arg(config).stdin(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(&self.program, &self.config);
    }

    /// Waits for something of the list `each` of a resource's `of` that is `wanted`.
    #[track_caller]
    fn until(&self, what: &str, of: &str, each: [&str; 2], wanted: impl Fn(&Value, &Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&self.told).unwrap_or_default();
            let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            for message in messages {
                for group in message[of].as_array().into_iter().flatten() {
                    let scopes = group[each[0]].as_array().into_iter().flatten();
                    let mut all = scopes.flat_map(|scope| scope[each[1]].as_array().into_iter().flatten());
                    if let Some(found) = all.find(|one| wanted(&group["resource"], one)) {
                        return found.clone();
                    }
                }
            }
            let log = || std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
            assert!(Instant::now() < end, "in vain: {what}\n{}\n{text}", log());
            look_again();
        }
    }

    fn span(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until(what, "resourceSpans", ["scopeSpans", "spans"], |_, span| wanted(span))
    }

    fn record(&self, what: &str, wanted: impl Fn(&Value, &Value) -> bool) -> Value {
        self.until(what, "resourceLogs", ["scopeLogs", "logRecords"], wanted)
    }

    fn metric(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let named = |_: &Value, metric: &Value| metric["name"] == name && wanted(metric);
        self.until(name, "resourceMetrics", ["scopeMetrics", "metrics"], named)
    }
}

#[expect(clippy::disallowed_methods, reason = "a file that another program writes, and a log, wake nobody")]
fn look_again() {
    std::thread::sleep(Duration::from_millis(20));
}

/// The collector's program, if there is one.
fn program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_mesh")).ancestors().nth(2)?;
    let built = target.join("tools/bin/otelcol");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("otelcol"));
    std::iter::once(built).chain(in_path).find(|program| program.is_file())
}

fn attribute<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    let found = of["attributes"].as_array()?.iter().find(|pair| pair["key"] == key)?;
    found["value"]["stringValue"].as_str()
}

/// A request with a trace; how long it took.
fn ask(url: &str, path: &str, trace: &str) -> Duration {
    let (started, address) = (Instant::now(), url.trim_start_matches("http://"));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path}?secret HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    write!(stream, "{head}traceparent: 00-{trace}-{PARENT}-01\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    started.elapsed()
}

#[test]
fn a_collector_is_told_of_requests_metrics_events_and_lines() {
    let place = Place::new();
    let Some(mut collector) = Collector::start(&place) else { return };
    let line = format!("-otlp-endpoint http://{} -admin 127.0.0.1:0", collector.grpc);
    let mesh =
        place.start_with(&line, &[("OTEL_METRIC_EXPORT_INTERVAL", "200"), ("OTEL_SERVICE_NAME", "my-mesh")]);
    place.mesh(&format!("deploy {} -instances 1", place.billing("v0.1.0"))).good();
    ask(&mesh.url, "/billing/hello", TRACE);
    let span = collector.span("the request's span", |span| span["traceId"] == TRACE);
    assert_eq!((&span["parentSpanId"], &span["name"]), (&PARENT.into(), &"GET billing".into()));
    assert_eq!(attribute(&span, "url.path"), Some("/billing/hello"));
    assert_eq!(attribute(&span, "mesh.node"), Some("node-1"));
    assert!(attribute(&span, "mesh.replica").unwrap().starts_with("billing-"), "{span}");

    let requests = collector.metric("mycelium_edge_requests_total", |metric| {
        let points = metric["sum"]["dataPoints"].as_array().into_iter().flatten();
        let mut of_billing = points.filter(|point| attribute(point, "app") == Some("billing"));
        of_billing.any(|point| attribute(point, "code") == Some("2xx") && point["asInt"] == "1")
    });
    assert_eq!(requests["sum"]["isMonotonic"], true);
    let latency = collector.metric("mycelium_edge_request_duration_seconds", |metric| {
        metric["histogram"]["dataPoints"][0]["count"] == "1"
    });
    assert_eq!(latency["unit"], "s");

    collector.record("an event", |resource, record| {
        attribute(resource, "service.name") == Some("my-mesh") && record["eventName"] == "health-ok"
    });
    let script = format!(
        "#!/bin/sh\necho '{{\"trace_id\":\"{TRACE}\",\"level\":\"error\"}}'\n\
         echo \"$MESH_APP is told $OTEL_EXPORTER_OTLP_ENDPOINT $OTEL_SERVICE_NAME\"\nexec sleep 1000\n"
    );
    place.write("near", &script);
    place.write("apart", &script);
    place.mesh(&format!("deploy near -workload worker -reach tcp:{}", collector.grpc)).good();
    place.mesh("deploy apart -workload worker").good();
    let line = collector.record("a line", |resource, record| {
        attribute(resource, "mesh.app") == Some("near") && record["traceId"] == TRACE
    });
    assert_eq!((&line["severityText"], attribute(&line, "log.iostream")), (&"ERROR".into(), Some("stdout")));
    let told = |app: &str, with: &str| format!("{app} is told {with}").trim_end().to_owned();
    for (app, with) in [("near", format!("http://{} near", collector.grpc)), ("apart", String::new())] {
        let wanted = told(app, &with);
        let is =
            |record: &Value| record["body"]["stringValue"].as_str().map(|text| text.trim_end() == wanted);
        collector.record(&wanted, |_, record| is(record) == Some(true));
    }
    follows_from_app_to_app(&place, &mesh.url, &collector);
    goes_on_without(&place, &mesh.url, &mut collector);
}

/// A workload that passes on what it got is one span, and what it asks another for is the next below it.
fn follows_from_app_to_app(place: &Place, url: &str, collector: &Collector) {
    let frontend = workload("frontend");
    let manifest = repository().join("examples/frontend.json");
    let line = format!("build -manifest {} -binary {}", manifest.display(), frontend.display());
    let spore = place.mesh(&line).good().stdout;
    place.mesh(&format!("deploy {} -instances 1", spore.trim())).good();
    let trace = "a".repeat(32);
    ask(url, "/frontend/hello", &trace);
    let of = |app: &'static str| {
        let trace = trace.clone();
        move |span: &Value| span["traceId"] == trace.as_str() && attribute(span, "mesh.app") == Some(app)
    };
    let (front, back) =
        (collector.span("the first", of("frontend")), collector.span("the second", of("billing")));
    assert_eq!((&front["parentSpanId"], &back["parentSpanId"]), (&PARENT.into(), &front["spanId"]));
}

/// Requests don't wait for a collector that is away; when it is back it is told of those, and the log says each once.
fn goes_on_without(place: &Place, url: &str, collector: &mut Collector) {
    collector.stop();
    let traces: Vec<String> = (1..=40).map(|n| format!("{n:032x}")).collect();
    let mut took: Vec<Duration> = traces.iter().map(|trace| ask(url, "/billing/hello", trace)).collect();
    took.sort();
    assert!(took[20] < Duration::from_secs(1), "{took:?}");
    // It was tried, in vain.
    let end = Instant::now() + PATIENCE;
    let away = || place.log().matches("what=\"traces\"").count();
    while away() == 0 {
        assert!(Instant::now() < end, "{}", place.log());
        look_again();
    }
    collector.start_again();
    for trace in &traces {
        collector.span("a request of before", |span| span["traceId"] == trace.as_str());
    }
    assert!(away() <= 2, "{}", place.log());
}

#[test]
fn over_http_it_is_the_same() {
    let place = Place::new();
    let Some(collector) = Collector::start(&place) else { return };
    let line = format!("-otlp-endpoint http://{}", collector.http);
    let mesh = place.start_with(&line, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
    place.mesh(&format!("deploy {} -instances 1", place.billing("v0.1.0"))).good();
    ask(&mesh.url, "/billing/hello", TRACE);
    // What is queued when the mesh ends is told.
    place.mesh("down").good();
    collector.span("the request's span", |span| span["traceId"] == TRACE);
    collector.metric("mycelium_edge_requests_total", |_| true);
    collector.record("an event", |_, record| record["body"]["stringValue"] == "mesh stops");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let place = Place::new();
    for (url, named) in [("localhost:4317", "begins neither with http://"), ("http://h:0", "its port is")] {
        let ran = place.mesh(&format!("run -edge 127.0.0.1:0 -otlp-endpoint {url}")).ended(2);
        assert!(ran.stderr.contains(named) && ran.stderr.contains(url), "{}", ran.stderr);
    }
    let mut run = place.command();
    run.args(["run", "-edge", "127.0.0.1:0", "-otlp-endpoint", "https://localhost:1"]);
    let ran = place.run("run", run.env("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")).ended(1);
    assert!(
        ran.stderr.contains("/nowhere") && ran.stderr.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "{}",
        ran.stderr
    );
}
