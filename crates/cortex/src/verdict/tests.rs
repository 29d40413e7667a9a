use crate::testing::*;
use crate::verdicts;
use genome::Budget;
use std::collections::BTreeMap;
use types::Workload;

fn why(mesh: &Mesh, name: &str) -> BTreeMap<String, String> {
    let verdicts = verdicts(&mesh.world(), &mesh.decide(), &app(name));
    verdicts.into_iter().map(|(node, why)| (node.to_string(), why)).collect()
}

#[test]
fn every_node_says_why() {
    let mut mesh = Mesh::of(5).with(plan("billing", 4));
    let plan = &mut mesh.plans[0].1;
    plan.constraints.insert("zone".into(), "eu".into());
    for (node, zone) in mesh.nodes.iter_mut().zip([Some("eu"), Some("eu"), Some("us"), None, Some("eu")]) {
        node.labels = zone.map(|zone| ("zone".into(), zone.into())).into_iter().collect();
    }
    mesh.nodes[1].capacity.cpu_milli = 50;
    mesh.nodes[4].capacity.memory_mb = 99;
    mesh.nodes[0].capacity.cpu_milli = 399;
    let why = why(&mesh, "billing");
    assert_eq!(why["node-1"], "runs slots 0, 1, 2");
    assert_eq!(why["node-2"], "no room: needs 100 cpu_milli, 50 free");
    assert_eq!(why["node-3"], "its label zone is us, the plan asks for zone=eu");
    assert_eq!(why["node-4"], "it has no label zone, the plan asks for zone=eu");
    assert_eq!(why["node-5"], "no room: needs 100 memory_mb, 99 free");
}

#[test]
fn what_is_not_needed_says_who_has_it() {
    let mut mesh = Mesh::of(3).with(plan("billing", 2));
    for (slot, node) in [(0, "node-1"), (1, "node-3")] {
        mesh.endpoints.push(endpoint("billing", node, slot));
    }
    assert_eq!(why(&mesh, "billing")["node-2"], "not needed: 2 of 2 replicas are on node-1, node-3");
    mesh.plans[0].1 = plan("billing", 1);
    assert_eq!(why(&mesh, "billing")["node-3"], "not needed: 1 of 1 replica is on node-1");
    mesh.plans[0].1 = plan("billing", 0);
    assert_eq!(why(&mesh, "billing")["node-1"], "not needed: the plan asks for no replica");
    mesh.plans[0].1 = plan("billing", 2);
    mesh.budgets.push(Budget { app_name: app("billing"), max_instances: 0, cpu_milli: 0, memory_mb: 0 });
    assert_eq!(why(&mesh, "billing")["node-1"], "not needed: the budget holds 0 of 2 replicas");
    assert!(why(&mesh, "search").is_empty(), "no plan, nothing to say");
}

#[test]
fn a_fixed_port_and_a_job_that_is_done_are_named() {
    let mut mesh = Mesh::of(2).with(plan("billing", 2)).with(plan("import", 1));
    mesh.plans[0].1.release.port = 8081;
    mesh.nodes.iter_mut().for_each(|node| node.host = "one".into());
    mesh.plans[1].1.release.workload = Workload::Job;
    mesh.settle();
    let billing = why(&mesh, "billing");
    let mut sentences: Vec<&str> = billing.values().map(String::as_str).collect();
    sentences.sort_unstable();
    assert_eq!(sentences, ["port 8081 is taken on its host, by billing", "runs slot 0"]);
    assert!(why(&mesh, "import").values().any(|why| why == "has completed slot 0"));
}

#[test]
fn every_live_node_has_a_verdict_about_every_app() {
    let mut mesh = Mesh::of(4).with(plan("billing", 2)).with(plan("search", 50));
    mesh.settle();
    for name in ["billing", "search"] {
        assert_eq!(why(&mesh, name).len(), 4);
    }
}
