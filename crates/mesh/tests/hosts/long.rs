//! What lasts: a network that is cut for much longer than anything holds that has to be renewed.

use std::time::{Instant, SystemTime};

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::load::Asking;
use crate::node::until;
use crate::runner::say;
use crate::tests;

tests!(a_cut_that_outlasts_every_membership_is_no_outage);

/// How long memberships hold here.
const LIFE: u64 = 2;
/// A cut lasts for so many of these lives.
const LIVES: u64 = 3;
/// And then for a month, in seconds.
const MONTH: u64 = 30 * 24 * 3600;

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// When a node's membership ends, as a host knows it, in seconds since 1970.
fn ends(lan: &Lan, asked: usize, of: usize) -> u64 {
    let nodes = lan.host(asked).json("nodes");
    let until = nodes[of]["memberUntil"].as_str().unwrap();
    until.parse::<types::Timestamp>().unwrap().as_millis() / 1000
}

fn a_cut_that_outlasts_every_membership_is_no_outage() {
    let lan = Lan::new(3);
    let cluster = Cluster::with(&lan, &format!("--membership-life {LIFE}s"), "--keep-workloads");
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let urls = cluster.urls("/billing/hello");
    let ask = |host: usize, work: &dyn Fn(&Asking)| {
        let ((), load) = lan.host(host).while_asking(2, &urls[host..=host], |asking| {
            work(asking);
            asking.answers(20);
        });
        load.flawless();
    };
    lan.cut(&[0], &[1, 2]);
    lan.cut(&[1], &[2]);
    // Everybody asks its own node, all the while; they are in each other's debt once it is over.
    ask(0, &|_| ask(1, &|_| ask(2, &|_| outlast(&lan, &cluster))));
    lan.host(0).mesh("env set billing GREETING=hello").good();
    for host in lan.hosts() {
        host.serves_on(&["h0", "h1", "h2"]);
        assert!(host.answers("/billing/hello").starts_with("hello"));
    }
}

fn outlast(lan: &Lan, cluster: &Cluster<'_>) {
    for host in [1, 2] {
        until("its membership is long over", || match ends(lan, host, host) {
            end if end + LIFE * LIVES < now() => Ok(()),
            end => Err((now(), end)),
        });
    }
    // Then a month goes by, and each starts anew in its solitude, with papers of long ago.
    for host in lan.hosts() {
        host.set_clock(i64::try_from(MONTH).unwrap());
        assert_eq!(cluster.node(host.number(), |node| node.stop()), 0);
        cluster.run(host.number());
        assert!(host.answers("/billing/hello").contains(&host.name()));
    }
    lan.heal();
    let healed = Instant::now();
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    say(&format!("all see each other {:?} after the cut\n", healed.elapsed()));
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    for host in lan.hosts() {
        until("all are members for some time to come", || {
            match [0, 1, 2].map(|of| ends(lan, host.number(), of)) {
                ends if ends.iter().all(|end| *end >= now() + MONTH) => Ok(()),
                ends => Err((now(), ends)),
            }
        });
    }
    say(&format!("all are renewed {:?} after the cut\n", healed.elapsed()));
}
