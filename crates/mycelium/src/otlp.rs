//! What this process tells a collector: requests at its edge, its counters, its events, and what its replicas write.

mod lines;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::Collector;
use edge::Tracing;
use scent::{Attributes, Kind, Protocol, Record, Scent, Task};
use telemetry::{Event, EventKind};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::{Config, StartError};
use crate::events::EventLog;
use crate::machine::Machine;
use crate::nodes::Nodes;
use crate::tls;

pub(crate) use lines::follow as follow_lines;

/// How long it may take to find out where the collector's name leads to.
const NAMED: Duration = Duration::from_secs(2);

/// The way to the collector that `config` names, and the tasks that go it.
pub(crate) fn start(config: &Config, nodes: &Nodes) -> Result<(Option<Scent>, Vec<Task>), StartError> {
    let Some(settings) = config.otlp.clone() else { return Ok((None, Vec::new())) };
    let believed = || {
        tls::client_config(settings.certificate.as_deref(), "OTEL_EXPORTER_OTLP_CERTIFICATE").map(Arc::new)
    };
    let tls = settings.endpoint.tls.then(believed).transpose();
    let tls = tls.map_err(|reason| StartError::Collector { at: settings.endpoint.to_string(), reason })?;
    let (scent, tasks) = Scent::new(settings, own(config, nodes), tls);
    Ok((Some(scent), tasks))
}

/// The collector as workloads are told of it: where its name leads to now.
pub(crate) async fn collector(config: &Config) -> Option<Collector> {
    let endpoint = &config.otlp.as_ref()?.endpoint;
    let found = timeout(NAMED, lookup_host((endpoint.host.as_str(), endpoint.port))).await;
    let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
    if addresses.is_empty() {
        tracing::warn!(at = %endpoint, "nobody knows the collector's name: workloads are not told of it");
    }
    let protocol = match endpoint.protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http/protobuf",
    };
    Some(Collector { addresses, url: endpoint.to_string(), protocol })
}

/// What is recorded of requests.
pub(crate) fn tracing(scent: Option<&Scent>) -> Option<Tracing> {
    let scent = scent.filter(|scent| scent.tells(Kind::Traces))?;
    Some(Tracing { sampler: scent.settings().sampler, sink: Arc::new(scent.clone()) })
}

/// What is said of this process.
fn own(config: &Config, nodes: &Nodes) -> Attributes {
    let first = nodes.present.first_key_value().map(|(name, _)| name.to_string()).unwrap_or_default();
    let mut all = vec![
        ("service.name", "mesh".to_owned()),
        ("service.version", config.version.clone()),
        ("service.instance.id", first.clone()),
        ("host.name", Machine::read().host),
    ];
    if nodes.present.len() == 1 {
        all.push(("mesh.node", first));
    }
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Tells events as they happen, until a successor does.
pub(crate) async fn follow_events(scent: &Scent, events: &EventLog) {
    let mut latest = events.latest();
    let mut told = *latest.borrow();
    let over = scent.over();
    tokio::pin!(over);
    loop {
        tokio::select! {
            changed = latest.changed() => if changed.is_err() { return },
            () = &mut over => return,
        }
        let (since, log) = (told, events.clone());
        let new = tokio::task::spawn_blocking(move || log.after(since)).await;
        let Ok(Ok(new)) = new else { continue };
        for event in new {
            scent.lost(event.seq.saturating_sub(told + 1));
            told = event.seq;
            scent.record(record(event));
        }
    }
}

fn record(event: Event) -> Record {
    let severity = match event.kind {
        EventKind::HealthFail | EventKind::RolledBack | EventKind::ReachRefused => scent::Severity::Warn,
        EventKind::SporeRefused => scent::Severity::Error,
        _ => scent::Severity::Info,
    };
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let about = [
        event.node.map(|node| pair("mesh.node", node.to_string())),
        event.app.map(|app| pair("mesh.app", app.to_string())),
        event.replica.map(|replica| pair("mesh.replica", replica.to_string())),
    ];
    Record {
        at: event.at.as_millis(),
        body: event.message,
        severity: Some(severity),
        event: Some(event.kind.as_str()),
        trace: None,
        attributes: about.into_iter().flatten().collect(),
        of: None,
    }
}

/// The folder of a replica's log.
fn folder(logs: &Path, node: &str, replica: &str) -> std::path::PathBuf {
    logs.join(node).join(replica)
}
