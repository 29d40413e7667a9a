//! What replicas use, seen from any node, and credits that follow an app from one node to another.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::node::until;
use crate::tests;
use crate::workloads::spore;

tests!(what_replicas_use_is_shown_at_every_node);

fn what_replicas_use_is_shown_at_every_node() {
    let lan = Lan::new(3);
    let _cluster = Cluster::on(&lan);
    let first = lan.host(0);
    let billing = spore(first, "billing", "v0.1.0");
    first.mesh(&format!("deploy {billing} --instances 3")).good();
    for host in lan.hosts() {
        until(&format!("{} shows all three", host.name()), || {
            let text = host.mesh("top --once --json --sort name").good().stdout;
            let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let nodes: Vec<&str> = rows.iter().filter_map(|row| row["nodeID"].as_str()).collect();
            let counted = rows.iter().all(|row| row["memory"].as_u64().is_some_and(|bytes| bytes > 0));
            if nodes.len() == 3 && counted && nodes.is_sorted() { Ok(()) } else { Err(rows) }
        });
        let sum = host.mesh("top --by app --json --once").good().stdout;
        let sum: Value = serde_json::from_str(sum.trim()).unwrap();
        assert_eq!((&sum["appName"], &sum["replicas"]), (&"billing".into(), &3.into()), "{sum}");
        let budget = host.json("budget show billing");
        assert_eq!(budget["nodes"].as_array().unwrap().len(), 3, "{budget}");
    }
}
