//! What replicas use, for Prometheus: of those that run in this process's nodes, as they were last read.

use std::fmt::{Display, Write as _};

use agent::{Sample, Standing};
use telemetry::metric;

use super::Readings;

type OfReplica = fn(&Sample) -> Option<String>;
type OfApp = fn(&Standing) -> f64;

const REPLICAS: [(&str, &str, &str, OfReplica); 4] = [
    (metric::CPU, "counter", "Seconds of a CPU that replicas used.", |sample| {
        sample.usage.cpu_usec.map(|micros| seconds(micros).to_string())
    }),
    (metric::MEMORY, "gauge", "Bytes of memory of replicas.", |sample| shown(sample.usage.memory)),
    (metric::MEMORY_LIMIT, "gauge", "The most bytes of memory that replicas may have.", |sample| {
        shown(Some(sample.limits.memory).filter(|limit| *limit > 0))
    }),
    (metric::PIDS, "gauge", "Processes and threads of replicas.", |sample| shown(sample.usage.pids)),
];

const APPS: [(&str, &str, OfApp); 2] = [
    (metric::CREDITS, "Seconds of a CPU that apps have left of what they didn't use.", |at| {
        seconds(at.credits)
    }),
    (metric::WEIGHT, "CPUs that apps get while they are wanted by more than there are.", |at| {
        at.weight_milli as f64 / 1000.0
    }),
];

/// All of it in the Prometheus text format; nothing where nothing is counted.
pub(crate) fn text(readings: &Readings) -> String {
    let mut out = String::new();
    let last: Vec<_> = readings.last().filter(|(_, samples)| !samples.replicas.is_empty()).collect();
    if last.is_empty() {
        return out;
    }
    for (name, kind, help, read) in REPLICAS {
        header(&mut out, name, kind, help);
        for (node, sample) in
            last.iter().flat_map(|(node, at)| at.replicas.iter().map(move |one| (node, one)))
        {
            let (app, replica) = (&sample.app, &sample.launch.replica);
            if let Some(value) = read(sample) {
                line(
                    &mut out,
                    name,
                    format_args!("app=\"{app}\",node=\"{node}\",replica=\"{replica}\""),
                    value,
                );
            }
        }
    }
    for (name, help, read) in APPS {
        header(&mut out, name, "gauge", help);
        for (node, (app, standing)) in
            last.iter().flat_map(|(node, at)| at.apps.iter().map(move |one| (node, one)))
        {
            line(&mut out, name, format_args!("app=\"{app}\",node=\"{node}\""), read(standing));
        }
    }
    out
}

fn shown(value: Option<u64>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes everything");
}

fn line(out: &mut String, name: &str, labels: impl Display, value: impl Display) {
    writeln!(out, "{name}{{{labels}}} {value}").expect("a String takes everything");
}
