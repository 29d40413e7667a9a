//! Apps that sleep, on many machines: whoever is asked first wakes them, wherever they run.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::host::Host;
use crate::lan::Lan;
use crate::node::until;
use crate::runner::say;
use crate::tests;
use crate::workloads::spore;

tests!(an_app_that_sleeps_is_woken_by_a_request_at_any_nodes_edge);

/// Waits until a node says that the app sleeps, and knows of no replica.
fn asleep(host: &Host) {
    until(&format!("billing sleeps, {} says", host.name()), || {
        let status = host.json("status");
        let state =
            status["apps"].as_array().unwrap().first().map_or(Value::Null, |app| app["state"].clone());
        if state == "asleep" && host.replicas().is_empty() { Ok(()) } else { Err((state, host.replicas())) }
    });
}

fn an_app_that_sleeps_is_woken_by_a_request_at_any_nodes_edge() {
    let lan = Lan::new(3);
    let _cluster = Cluster::on(&lan);
    let first = lan.host(0);
    let billing = spore(first, "billing", "v0.1.0");
    first.mesh(&format!("deploy {billing} --min 0 --max 3 --idle 1s --settle 1s")).good();
    for host in lan.hosts() {
        lan.hosts().iter().for_each(asleep);
        let asked = std::time::Instant::now();
        let answer = host.get(&host.url("/billing/hello")).unwrap();
        assert_eq!(answer.status, 200, "at {}: {answer:?}", host.name());
        say(&format!("{} was answered after {:?}: {}", host.name(), asked.elapsed(), answer.body));
    }
    // All at once, at every edge: held where they came in, answered by the one that woke.
    lan.hosts().iter().for_each(asleep);
    std::thread::scope(|scope| {
        for host in lan.hosts().iter().flat_map(|host| [host; 8]) {
            scope.spawn(move || {
                let answer = host.get(&host.url("/billing/hello")).unwrap();
                assert_eq!(answer.status, 200, "at {}: {answer:?}", host.name());
            });
        }
    });
}
