//! The counters as Prometheus text (exposition format 0.0.4).

use std::fmt::Write as _;

use telemetry::metric;

use super::{AppStats, Stats};

/// The classes of status as label values.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Stats {
    /// Appends the counters as Prometheus text.
    pub fn prometheus(&self, out: &mut String) {
        header(out, metric::EDGE_REQUESTS, "counter", "Requests answered, by app and class of status.");
        for (app, stats) in &self.apps {
            for (class, n) in CLASSES.iter().zip(stats.classes) {
                line(out, metric::EDGE_REQUESTS, &format!("app=\"{app}\",code=\"{class}\""), n);
            }
        }
        line(out, metric::EDGE_REQUESTS, "app=\"\",code=\"4xx\"", self.unrouted);
        header(out, metric::EDGE_LATENCY, "histogram", "From a request's head to the end of its response.");
        for (app, stats) in &self.apps {
            latency(out, app.as_str(), stats);
        }
        header(out, metric::EDGE_OPEN, "gauge", "Requests that are open.");
        for (app, stats) in &self.apps {
            line(out, metric::EDGE_OPEN, &format!("app=\"{app}\""), stats.open);
        }
        header(out, metric::EDGE_RETRIES, "counter", "Requests tried again at another endpoint.");
        for (app, stats) in &self.apps {
            line(out, metric::EDGE_RETRIES, &format!("app=\"{app}\""), stats.retries);
        }
        header(out, metric::EDGE_HELD, "gauge", "Requests that wait for an app to wake.");
        for (app, stats) in &self.apps {
            line(out, metric::EDGE_HELD, &format!("app=\"{app}\""), stats.held);
        }
        header(out, metric::SLO_BAD, "counter", "Requests over the budget of their app, or with a 5xx.");
        for (app, stats) in &self.apps {
            line(out, metric::SLO_BAD, &format!("app=\"{app}\""), stats.bad);
        }
        header(out, metric::EDGE_CONNECTIONS, "gauge", "Client connections that are open.");
        line(out, metric::EDGE_CONNECTIONS, "", self.connections);
    }
}

fn latency(out: &mut String, app: &str, stats: &AppStats) {
    let name = metric::EDGE_LATENCY;
    for (bound, n) in stats.latency.cumulative() {
        line(out, &format!("{name}_bucket"), &format!("app=\"{app}\",le=\"{}\"", bound.as_secs_f64()), n);
    }
    let count = stats.latency.count();
    line(out, &format!("{name}_bucket"), &format!("app=\"{app}\",le=\"+Inf\""), count);
    put(out, format_args!("{name}_sum{{app=\"{app}\"}} {}\n", stats.latency.sum().as_secs_f64()));
    line(out, &format!("{name}_count"), &format!("app=\"{app}\""), count);
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    put(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(out: &mut String, name: &str, labels: &str, n: u64) {
    if labels.is_empty() {
        put(out, format_args!("{name} {n}\n"));
    } else {
        put(out, format_args!("{name}{{{labels}}} {n}\n"));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a String can't fail.
    let _ = out.write_fmt(text);
}
