//! A record that makes a node fall over: the node that met it first ends once, and nobody else ever sees it.

use rustix::process::Pid;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::host::Host;
use crate::lan::Lan;
use crate::node::gone;
use crate::runner::say;
use crate::tests;

tests!(a_record_that_panics_takes_down_one_node_once, a_record_that_hangs_takes_down_one_node_once);

/// What is asked of an edge.
const BILLING: &str = "/billing/hello";

fn a_record_that_panics_takes_down_one_node_once() {
    takes_down_one_node_once("panic", "panic: a plan asks for a panic");
}

fn a_record_that_hangs_takes_down_one_node_once() {
    takes_down_one_node_once("hang", "hang: ");
}

fn takes_down_one_node_once(how: &str, reason: &str) {
    let lan = Lan::new(3);
    let cluster = Cluster::with(&lan, "", "--watchdog 2s");
    cluster.deploy(0, 3);
    let workloads: Vec<Pid> = lan.hosts().iter().map(workload).collect();
    let first = lan.host(0);
    let urls = [1, 2].map(|host| lan.host(host).url(BILLING));
    let ((), load) = lan.host(1).while_asking(8, &urls, |asking| {
        asking.answers(16);
        assert_ne!(first.mesh(&format!("env set billing MESH_TEST_HANDLER={how}")).code, 0);
        assert_ne!(cluster.node(0, |node| node.ended()), 0);
        cluster.run(0);
        asking.answers(100);
    });
    say(&format!("{load:?}\n"));
    load.flawless();
    let kept_out = first.json("quarantine");
    let plan = of_billing(&kept_out);
    assert!(plan["reason"].as_str().unwrap().starts_with(reason), "{kept_out}");
    let status = first.mesh("status").good().stdout;
    assert!(status.contains("`mesh quarantine` shows more"), "{status}");
    serves_as_before(&lan, &cluster, &workloads);

    // Whoever lets it in again has it again, and nobody else does.
    let release = format!("quarantine release {}", plan["id"].as_str().unwrap());
    let _ = first.mesh(&release);
    assert_ne!(cluster.node(0, |node| node.ended()), 0);
    cluster.run(0);
    assert_eq!(of_billing(&first.json("quarantine"))["id"], plan["id"]);
    serves_as_before(&lan, &cluster, &workloads);

    // The next plan is like any other, everywhere.
    first.mesh("env set billing MESH_TEST_HANDLER=nothing").good();
    for host in &lan.hosts()[1..] {
        let env = host.mesh("env list billing").good().stdout;
        assert!(env.contains("nothing"), "{env}");
    }
}

fn serves_as_before(lan: &Lan, cluster: &Cluster<'_>, workloads: &[Pid]) {
    for (host, pid) in lan.hosts().iter().zip(workloads) {
        assert_eq!(workload(host), *pid, "{}: it ran on", host.name());
        assert_eq!(host.get(&host.url(BILLING)).unwrap().status, 200);
        let env = host.mesh("env list billing").good().stdout;
        assert!(!env.contains("MESH_TEST_HANDLER"), "{}: {env}", host.name());
    }
    for host in &lan.hosts()[1..] {
        let pid = cluster.node(host.number(), |node| node.pid());
        assert!(!gone(pid, std::time::Duration::ZERO), "{} fell as well", host.name());
        assert_eq!(host.json("quarantine"), Value::Array(Vec::new()));
    }
}

/// The one process of billing in a host.
fn workload(host: &Host) -> Pid {
    let all = host.json("ps");
    let here = all.as_array().unwrap().iter().find(|one| one["nodeID"] == host.name().as_str());
    let pid = here.and_then(|one| one["pid"].as_i64()).unwrap_or_else(|| panic!("{}: {all}", host.name()));
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn of_billing(kept_out: &Value) -> &Value {
    let all = kept_out.as_array().unwrap();
    let plan = all.iter().find(|one| one["what"].as_str().unwrap().contains("billing"));
    plan.unwrap_or_else(|| panic!("{kept_out}"))
}
