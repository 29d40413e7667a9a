//! `mesh trace` in a mesh of many: what a replica does is told wherever somebody asks.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::tests;

tests!(what_a_replica_does_is_told_at_every_node);

fn what_a_replica_does_is_told_at_every_node() {
    let lan = Lan::new(3);
    let _cluster = Cluster::on(&lan);
    let host = lan.host(0);
    let script = "#!/bin/bash\nwhile sleep 1; do :; done\n";
    std::fs::write(host.work().join("talk"), script).unwrap();
    host.mesh("deploy talk --workload worker --constraint host=h1").good();
    for asked in lan.hosts() {
        let trace = asked.start("trace talk --json");
        // By the kernel itself, or by glances.
        for kind in ["exec", "exit"] {
            trace.line(&format!("an {kind} on h1"), |line| {
                let Ok(told) = serde_json::from_str::<Value>(line) else { return false };
                assert_eq!(told["appName"], "talk", "{told}");
                told["kind"] == kind && told["nodeID"] == "h1" && told["pid"].is_u64()
            });
        }
    }
    // One that is asked for itself alone tells of itself alone.
    let own = lan.host(2).start("trace talk --json --here");
    let all = lan.host(2).start("trace talk --json");
    all.line("an exec on h1", |line| line.contains("\"exec\""));
    assert_eq!(own.log(), "");
}
