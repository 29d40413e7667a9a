//! What was counted, for Prometheus.

use std::fmt::Write as _;

use telemetry::metric;

use super::Counted;

type Read = fn(&Counted) -> u64;

/// Each counter of a replica: its name, what it says, where it stands.
const COUNTERS: [(&str, &str, Read); 8] = [
    (metric::RECEIVED, "Bytes that replicas received, IP headers included.", |c| c.traffic.bytes_in),
    (metric::SENT, "Bytes that replicas sent, IP headers included.", |c| c.traffic.bytes_out),
    (metric::CONNECTS, "TCP connections that replicas asked for and got.", |c| c.traffic.connects),
    (metric::ACCEPTS, "TCP connections that others made to replicas.", |c| c.traffic.accepts),
    (metric::REFUSALS, "What replicas were refused, since it is not in their reach.", |c| c.traffic.refusals),
    (metric::EXECS, "Programs that replicas executed.", |c| c.processes.execs),
    (metric::EXITS, "Processes of replicas that ended.", |c| c.processes.exits),
    (metric::UNTOLD, "What was counted and not told, for want of room.", |c| {
        c.traffic.untold + c.processes.untold
    }),
];

/// All counters in the Prometheus text format; nothing where nothing is seen.
pub(crate) fn text(counted: &[Counted]) -> String {
    let mut out = String::new();
    for (name, help, read) in COUNTERS.iter().filter(|_| !counted.is_empty()) {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter").expect("a String takes everything");
        for one in counted {
            let super::Watched { node, app, replica, .. } = &*one.watched;
            let value = read(one);
            writeln!(out, "{name}{{app=\"{app}\",node=\"{node}\",replica=\"{replica}\"}} {value}")
                .expect("a String takes everything");
        }
    }
    out
}
