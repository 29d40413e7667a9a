//! What the edge counted and what nodes report, as text and as numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use edge::Edge;
use fabric::View;
use scent::{Count, Kind, Scent};
use telemetry::metric;
use types::AppName;

use crate::api::Traffic;
use crate::burn::WINDOWS;
use crate::demand::Burns;

/// The edge's counters by app.
pub(crate) fn traffic(edge: &Edge) -> BTreeMap<AppName, Traffic> {
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    let stats = edge.stats();
    let apps = stats.apps.into_iter().map(|(app, stats)| {
        let traffic = Traffic {
            requests: stats.requests(),
            errors_5xx: stats.errors(),
            open: stats.open,
            p50_ms: millis(stats.latency.quantile(0.5)),
            p99_ms: millis(stats.latency.quantile(0.99)),
        };
        (app, traffic)
    });
    apps.collect()
}

/// Everything in the Prometheus text format (version 0.0.4).
pub(crate) fn text(edge: &Edge, view: &View, burns: &Burns) -> String {
    let mut out = String::new();
    edge.stats().prometheus(&mut out);
    header(
        &mut out,
        metric::SLO_BURN,
        "gauge",
        "How many times as fast as it may be the error budget is used up.",
    );
    for (app, rates) in burns.all() {
        for ((window, _), rate) in WINDOWS.iter().zip(rates) {
            let name = metric::SLO_BURN;
            writeln!(out, "{name}{{app=\"{app}\",window=\"{window}\"}} {rate}")
                .expect("a String takes everything");
        }
    }
    let mut replicas: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let mut restarts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for endpoint in view.endpoints() {
        let (app, node) = (endpoint.app_name.to_string(), endpoint.node_id.to_string());
        *replicas.entry((app.clone(), node.clone(), endpoint.state.to_string())).or_default() += 1;
        *restarts.entry((app, node)).or_default() += u64::from(endpoint.restarts);
    }
    header(&mut out, metric::REPLICAS, "gauge", "Replicas by app, node and state.");
    for ((app, node, state), count) in replicas {
        line(&mut out, metric::REPLICAS, &format!("app=\"{app}\",node=\"{node}\",state=\"{state}\""), count);
    }
    header(&mut out, metric::RESTARTS, "counter", "Restarts of the replicas that are there now.");
    for ((app, node), count) in restarts {
        line(&mut out, metric::RESTARTS, &format!("app=\"{app}\",node=\"{node}\""), count);
    }
    out
}

/// How much was told over OTLP, in the Prometheus text format; nothing where nobody is told.
pub(crate) fn told(scent: Option<&Scent>) -> String {
    type Read = fn(Count) -> u64;
    let mut out = String::new();
    let Some(scent) = scent else { return out };
    let what: [(_, _, Read); 3] = [
        (metric::OTLP_SENT, "What the collector took.", |count| count.sent),
        (metric::OTLP_DROPPED, "What the collector never will have.", |count| count.dropped),
        (metric::OTLP_FAILURES, "Requests to the collector that failed.", |count| count.failures),
    ];
    for (name, help, read) in what {
        header(&mut out, name, "counter", help);
        for kind in Kind::ALL {
            line(&mut out, name, &format!("signal=\"{}\"", kind.as_str()), read(scent.count(kind)));
        }
    }
    out
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes everything");
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    writeln!(out, "{name}{{{labels}}} {value}").expect("a String takes everything");
}
