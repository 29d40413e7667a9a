//! A dead control plane is no outage: what runs goes on, and is served, whoever can't be reached.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::host::Host;
use crate::lan::Lan;
use crate::runner::say;
use crate::tests;

tests!(
    a_cut_between_all_is_no_outage,
    a_node_alone_serves_what_it_knew,
    a_full_disk_stops_nothing,
    garbage_in_the_journal_is_named,
);

/// What is asked of an edge.
const BILLING: &str = "/billing/hello";

/// Waits for an event with this message.
#[track_caller]
fn said(host: &Host, since: u64, message: &str) {
    host.event(since, message, |event| event["message"].as_str().is_some_and(|said| said.contains(message)));
}

fn a_cut_between_all_is_no_outage() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    let since: Vec<u64> = lan.hosts().iter().map(Host::last_event).collect();
    let ask = |host: usize, work: &dyn Fn()| {
        let ((), load) = lan.host(host).while_asking(4, &[lan.host(host).url(BILLING)], |asking| {
            asking.answers(8);
            work();
            asking.answers(8);
        });
        say(&format!("{load:?}\n"));
        load.flawless();
    };
    ask(0, &|| ask(1, &|| ask(2, &|| cut_and_heal(&lan, &since))));
}

fn cut_and_heal(lan: &Lan, since: &[u64]) {
    for one in 0..3 {
        let others: Vec<usize> = (0..3).filter(|other| *other != one).collect();
        lan.cut_one_way(&[one], &others);
    }
    for (host, since) in lan.hosts().iter().zip(since) {
        for other in lan.hosts().iter().filter(|other| other.number() != host.number()) {
            said(host, *since, &format!("node {} is dead", other.name()));
        }
        // Each alone does what the plan asks for as the least.
        times(host, *since, "endpoint-register", 2);
    }
    let before: Vec<u64> = lan.hosts().iter().map(Host::last_event).collect();
    lan.heal();
    for (host, before) in lan.hosts().iter().zip(before) {
        times(host, before, "replica-stopped", 2);
    }
}

/// Waits until something has happened so often.
#[track_caller]
fn times(host: &Host, since: u64, kind: &str, count: usize) {
    let mut seen = 0;
    host.event(since, &format!("{kind}, {count} times"), |event| {
        seen += usize::from(event["kind"] == kind);
        seen == count
    });
}

fn a_node_alone_serves_what_it_knew() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    let since = lan.host(0).last_event();
    (0..3).for_each(|host| cluster.power_off(host));
    let started = Instant::now();
    cluster.run(0);
    let ready = started.elapsed();
    times(lan.host(0), since, "endpoint-register", 1);
    let answer = lan.host(0).get(&lan.host(0).url(BILLING)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let served = started.elapsed();
    say(&format!("serves {ready:?} after its start, its app {served:?} after\n"));
    assert!(answer.body.starts_with("hi from billing"), "{answer:?}");
    assert!(served < Duration::from_secs(5), "{served:?}");
}

fn a_full_disk_stops_nothing() {
    let lan = Lan::new(2);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    let host = lan.host(0);
    let ((), load) = host.while_asking(4, &[host.url(BILLING)], |asking| {
        host.fill_disk();
        // There is no room for the new replica; the one before it serves on, and people are told.
        let rollout = host.start("env set billing A=1");
        while !host.mesh("status").good().stdout.contains("No space left") {
            asking.answers(8);
        }
        asking.answers(100);
        host.free_disk();
        // It may have given up by then.
        rollout.ended();
        host.mesh("env set billing A=2").good();
    });
    load.flawless();
    assert_eq!(lan.host(1).json("env list billing")["plan"]["A"], "2");
}

fn garbage_in_the_journal_is_named() {
    let lan = Lan::new(2);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    let (host, journal) = (lan.host(1), lan.host(1).state().join("fabric.redb"));
    cluster.node(1, |node| node.kill9());
    std::fs::write(&journal, vec![7; 64 << 10]).unwrap();
    let refused = host.mesh("node run --edge :0").ended(1);
    assert!(refused.stderr.contains(&journal.display().to_string()), "{refused:?}");
    assert!(refused.stderr.contains("hint: "), "{refused:?}");
    // What the hint says is the way out: the other node still knows everything.
    std::fs::rename(&journal, host.work().join("damaged")).unwrap();
    cluster.run(1);
    said(host, 0, "node h0 is here");
    let answer = loop {
        let answer = host.get(&host.url(BILLING)).unwrap();
        if answer.status != 404 {
            break answer;
        }
    };
    assert_eq!(answer.status, 200, "{answer:?}");
}
