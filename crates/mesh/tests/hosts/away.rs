//! Nodes that were off for longer than the mesh remembers removals.

use std::path::Path;

use crate::cluster::{Cluster, ticket};
use crate::host::Host;
use crate::lan::Lan;
use crate::node::until;
use crate::tests;
use crate::workloads::spore;

tests!(
    a_node_back_after_a_month_forgets_what_was_removed,
    a_mesh_that_was_off_for_a_month_forgets_nothing,
    a_node_that_was_removed_while_it_was_away_joins_anew,
);

/// Seconds in a day.
const DAY: i64 = 24 * 3600;
/// What a node that was away for so long says.
const AWAY: &str = "this node was away for 34 days";

/// Has 34 days go by for these hosts, which run all the time but for a restart in between.
fn stay(cluster: &Cluster<'_>, lan: &Lan, hosts: &[usize]) {
    for day in [17, 34] {
        for host in hosts {
            cluster.node(*host, |node| node.stop());
            lan.host(*host).set_clock(day * DAY);
        }
        hosts.iter().for_each(|host| cluster.run(*host));
        let here: Vec<&Host> = hosts.iter().map(|host| lan.host(*host)).collect();
        for host in &here {
            here.iter().for_each(|other| host.says(&other.name(), "here"));
        }
    }
}

/// The apps that a node knows plans of.
fn apps(host: &Host) -> Vec<String> {
    let status = host.json("status");
    let apps = status["apps"].as_array().unwrap();
    apps.iter().map(|app| app["appName"].as_str().unwrap_or_default().to_owned()).collect()
}

fn a_node_back_after_a_month_forgets_what_was_removed() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    let host = lan.host(0);
    host.mesh(&format!("deploy {} -instances 3", spore(host, "frontend", "v0.1.0"))).good();
    lan.host(2).answers("/frontend/health");
    cluster.power_off(2);
    host.mesh("stop billing --purge").good();
    stay(&cluster, &lan, &[0, 1]);
    lan.host(2).set_clock(34 * DAY);
    cluster.run(2);
    cluster.node(2, |node| {
        node.line("that it was away", |line| line.contains(AWAY));
        node.line("what it forgot", |line| line.contains("that the mesh removed meanwhile: plan billing"));
    });
    // It is a member still, runs what holds, and nothing of the rest is anywhere.
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    for host in lan.hosts() {
        host.answers("/frontend/health");
        until("frontend is all there is", || match apps(host) {
            apps if apps == ["frontend"] => Ok(()),
            apps => Err(apps),
        });
    }
    cluster.node(2, |node| assert_eq!(node.stop(), 0));
    cluster.run(2);
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    assert_eq!(apps(lan.host(2)), ["frontend"]);
    cluster.node(2, |node| assert!(!node.log().contains("was away"), "{}", node.log()));
}

fn a_mesh_that_was_off_for_a_month_forgets_nothing() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    for host in 0..3 {
        cluster.power_off(host);
        lan.host(host).set_clock(34 * DAY);
    }
    (0..3).for_each(|host| cluster.run(host));
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    for host in 0..3 {
        lan.host(host).answers("/billing/hello");
        cluster.node(host, |node| node.line("that it was away", |line| line.contains(AWAY)));
    }
    // What is wished now reaches everybody.
    lan.host(0).mesh("scale billing 1").good();
    let ran_by: Vec<usize> = lan.hosts().iter().map(Host::serves_one).collect();
    assert!(ran_by.iter().all(|host| *host == ran_by[0]), "{ran_by:?}");
    (0..3).for_each(|host| {
        cluster.node(host, |node| assert!(!node.log().contains("forgot"), "{}", node.log()))
    });
}

fn a_node_that_was_removed_while_it_was_away_joins_anew() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    cluster.power_off(2);
    lan.host(0).mesh("node remove h2 --reason lost").good();
    stay(&cluster, &lan, &[0, 1]);
    lan.host(2).set_clock(34 * DAY);
    cluster.run(2);
    let said = |line: &str| line.contains("was revoked; it must join anew, with a ticket");
    cluster.node(2, |node| {
        node.line("why it isn't let in", |line| line.contains("did not let us in") && said(line))
    });
    let told = |host| {
        cluster.node(host, |node| node.log().lines().any(|l| l.contains("turned a node away") && said(l)))
    };
    until("one of them says whom it turned away", || if told(0) || told(1) { Ok(()) } else { Err(()) });
    // It joins anew where it lies, and has its spores still.
    let held = lan.host(2).state().join("repo");
    let spores = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    let before = spores(&held);
    assert!(before > 0);
    cluster.node(2, |node| node.stop());
    lan.host(2).mesh(&format!("node join {}", ticket(lan.host(0)))).good();
    assert_eq!(spores(&held), before);
    cluster.run(2);
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    lan.host(2).answers("/billing/hello");
}
