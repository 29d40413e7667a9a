//! What happens to replicas when nodes go and come, and what their users notice of it: nothing.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, RUN, Replica};
use crate::host::Host;
use crate::lan::Lan;
use crate::node::until;
use crate::tests;
use crate::workloads::deploy_to;

tests!(
    a_dead_nodes_replicas_are_elsewhere_within_ten_seconds,
    a_node_that_comes_back_moves_nothing,
    each_side_of_a_cut_serves_the_least_and_the_surplus_leaves_after_it,
    a_rolling_restart_fails_no_request,
    a_rolling_upgrade_fails_no_request,
    a_drain_moves_first_and_ends_after,
    a_node_alone_serves_what_it_knew,
    what_was_published_on_a_node_outlives_it,
);

/// The nodes of three hosts.
const ALL: [&str; 3] = ["h0", "h1", "h2"];

/// Ready replicas and where they are, as a host's node knows it.
fn ready_on(host: &Host) -> Vec<String> {
    host.replicas()
        .into_iter()
        .filter(|replica| replica.state == "ready")
        .map(|replica| replica.node)
        .collect()
}

fn a_dead_nodes_replicas_are_elsewhere_within_ten_seconds() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    // Silence, and no closed port that would tell.
    lan.cut(&[2], &[0, 1]);
    let began = Instant::now();
    until("three replicas on two nodes", || {
        let on = ready_on(lan.host(0));
        if on.len() == 3 && !on.contains(&"h2".to_owned()) { Ok(()) } else { Err(on) }
    });
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

fn a_node_that_comes_back_moves_nothing() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    let before = two_ready(lan.host(0), &ALL);
    let gone = lan.hosts().iter().rfind(|host| before.iter().any(|one| one.node == host.name())).unwrap();
    let left = lan.host((gone.number() + 1) % 3);
    cluster.power_off(gone.number());
    let rest: Vec<_> = ALL.into_iter().filter(|name| *name != gone.name()).collect();
    let after = two_ready(left, &rest);
    cluster.run(gone.number());
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    // Something that is decided, placed and started after its return, on it too.
    deploy_to(lan.host(0), "frontend", &gone.name());
    let billing = left.replicas().into_iter().filter(|one| one.name.starts_with("billing"));
    assert_eq!(billing.collect::<Vec<_>>(), after);
}

fn each_side_of_a_cut_serves_the_least_and_the_surplus_leaves_after_it() {
    let lan = Lan::new(4);
    let cluster = Cluster::on(&lan);
    // Once it has run everywhere, its spore is there.
    cluster.deploy(0, 4);
    lan.host(0).mesh("scale billing 2").good();
    lan.hosts().iter().for_each(|host| drop(two_ready(host, &["h0", "h1", "h2", "h3"])));
    lan.cut(&[0, 1], &[2, 3]);
    two_ready(lan.host(0), &["h0", "h1"]);
    two_ready(lan.host(3), &["h2", "h3"]);
    for asker in [0, 3] {
        let url = [lan.host(asker).url("/billing/hello")];
        let ((), load) = lan.host(asker).while_asking(4, &url, |asking| asking.answers(100));
        load.flawless();
    }
    lan.heal();
    let ((), load) = lan.host(3).while_asking(8, &cluster.urls("/billing/hello"), |asking| {
        lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        for host in lan.hosts() {
            until("the surplus is gone", || match host.replicas() {
                all if all.len() == 2 => Ok(()),
                all => Err(all),
            });
        }
        asking.answers(100);
    });
    load.flawless();
}

/// Waits until a host's node knows of two ready replicas on these nodes.
fn two_ready(host: &Host, nodes: &[&str]) -> Vec<Replica> {
    until(&format!("two replicas on {nodes:?}"), || {
        let mut all = host.replicas();
        all.retain(|one| one.state == "ready" && nodes.contains(&one.node.as_str()));
        if all.len() == 2 { Ok(all) } else { Err(all) }
    })
}

fn a_rolling_restart_fails_no_request() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    let keeping = format!("{RUN} --keep-workloads");
    for host in 0..3 {
        cluster.node(host, |node| node.stop());
        cluster.run_as(host, &keeping);
    }
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let before = lan.host(0).replicas();
    let ((), load) = lan.host(0).while_asking(64, &cluster.urls("/billing/hello"), |asking| {
        for host in 0..3 {
            asking.answers(200);
            cluster.node(host, |node| assert_eq!(node.stop(), 0));
            cluster.run_as(host, &keeping);
            lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        }
        asking.answers(200);
    });
    load.flawless();
    assert_eq!(lan.host(0).serves_on(&["h0", "h1", "h2"]), before);
}

fn a_rolling_upgrade_fails_no_request() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&ALL)));
    let before = lan.host(0).replicas();
    let ((), load) = lan.host(0).while_asking(32, &cluster.urls("/billing/hello"), |asking| {
        for host in lan.hosts() {
            asking.answers(100);
            host.mesh("upgrade").good();
            lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        }
        asking.answers(100);
    });
    load.flawless();
    lan.hosts().iter().for_each(|host| assert_eq!(host.serves_on(&ALL), before));
}

fn a_drain_moves_first_and_ends_after() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    let before = lan.hosts().iter().map(|host| two_ready(host, &ALL)).next_back().unwrap();
    let drained = lan.hosts().iter().find(|host| before.iter().any(|one| one.node == host.name())).unwrap();
    let rest: Vec<_> = ALL.into_iter().filter(|name| *name != drained.name()).collect();
    let since = drained.last_event();
    let ((), load) = lan.host(0).while_asking(16, &cluster.urls("/billing/hello"), |asking| {
        asking.answers(50);
        lan.host(0).mesh(&format!("node drain {}", drained.name())).good();
        two_ready(lan.host(0), &rest);
        drained.event(since, "the end of its replica", |event| event["kind"] == "replica-stopped");
        asking.answers(50);
    });
    load.flawless();
    let nodes = lan.host(2).json("nodes");
    assert_eq!(nodes[drained.number()]["drained"], true, "{nodes}");
    lan.host(0).mesh(&format!("node undrain {}", drained.name())).good();
    lan.host(0).mesh("scale billing 3").good();
    lan.host(0).serves_on(&ALL);
}

fn a_node_alone_serves_what_it_knew() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let urls = cluster.urls("/billing/hello");
    // Everybody is alone: what runs is served on.
    lan.cut(&[0], &[1, 2]);
    lan.cut(&[1], &[2]);
    for host in lan.hosts() {
        let own = &urls[host.number()..=host.number()];
        let ((), load) = host.while_asking(2, own, |asking| {
            host.says(if host.number() == 0 { "h1" } else { "h0" }, "dead");
            asking.answers(20);
        });
        load.flawless();
    }
    // And one that starts in its solitude starts what it knows of.
    cluster.power_off(2);
    cluster.run(2);
    assert!(lan.host(2).answers("/billing/hello").contains("h2"));
}

fn what_was_published_on_a_node_outlives_it() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 1);
    // One runs it; the others hold it, should that one go.
    for host in lan.hosts() {
        until("it is held everywhere", || match host.json("repo list") {
            held if held.as_array().unwrap().len() == 1 => Ok(()),
            held => Err(held),
        });
    }
    let runs = lan.host(2).serves_one();
    cluster.power_off(runs);
    if runs != 0 {
        // And the one that it was published on.
        cluster.power_off(0);
    }
    assert!(lan.host(if runs == 2 { 1 } else { 2 }).answers("/billing/hello").starts_with("hi from billing"));
}
