//! What happens to replicas when nodes go and come, and what their users notice of it: nothing.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, RUN};
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
    a_drain_moves_first_and_ends_after,
    a_node_alone_serves_what_it_knew,
);

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
    lan.host(0).serves_on(&["h0", "h1"]);
    cluster.power_off(1);
    let after = lan.host(0).serves_on(&["h0", "h2"]);
    cluster.run(1);
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    // Something that is decided, placed and started after its return, on it too.
    deploy_to(lan.host(0), "frontend", "h1");
    let billing = lan.host(0).replicas().into_iter().filter(|one| one.name.starts_with("billing"));
    assert_eq!(billing.collect::<Vec<_>>(), after);
}

fn each_side_of_a_cut_serves_the_least_and_the_surplus_leaves_after_it() {
    let lan = Lan::new(4);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1"])));
    let urls = [lan.host(0).url("/billing/hello"), lan.host(2).url("/billing/hello")];
    lan.cut(&[0, 1], &[2, 3]);
    let ((), near) = lan.host(0).while_asking(4, &urls[..1], |_| {
        lan.host(2).says("h0", "dead");
        until("the other side serves it as well", || {
            let on: Vec<_> =
                ready_on(lan.host(2)).into_iter().filter(|node| node > &"h1".to_owned()).collect();
            if on.len() == 2 { Ok(()) } else { Err(on) }
        });
    });
    near.flawless();
    let asking_both = lan.hosts();
    let ((), far) = asking_both[3].while_asking(4, &urls[1..], |asking| {
        asking.answers(100);
        lan.heal();
        lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        for host in lan.hosts() {
            until("the surplus is gone", || {
                let on = host.replicas();
                if on.len() == 2 { Ok(()) } else { Err(on) }
            });
        }
        asking.answers(100);
    });
    far.flawless();
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

fn a_drain_moves_first_and_ends_after() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1"])));
    let since = lan.host(1).last_event();
    let ((), load) = lan.host(0).while_asking(16, &cluster.urls("/billing/hello"), |asking| {
        asking.answers(50);
        lan.host(0).mesh("node drain h1").good();
        lan.host(0).serves_on(&["h0", "h2"]);
        lan.host(1).event(since, "the end of its replica", |event| event["kind"] == "replica-stopped");
        asking.answers(50);
    });
    load.flawless();
    let nodes = lan.host(2).json("nodes");
    assert_eq!(nodes[1]["drained"], true, "{nodes}");
    lan.host(0).mesh("node undrain h1").good();
    lan.host(0).mesh("scale billing 3").good();
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
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
