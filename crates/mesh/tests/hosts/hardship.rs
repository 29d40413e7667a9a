//! A host in trouble: the others don't notice, and it recovers by itself.

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::node::until;
use crate::tests;

tests!(
    a_full_disk_stops_nothing_that_runs,
    a_node_that_stood_still_comes_back,
    a_node_that_is_killed_again_and_again_harms_nobody,
    a_link_that_is_dead_one_way_harms_nobody,
    clocks_that_differ_by_hours_harm_nobody,
);

fn a_full_disk_stops_nothing_that_runs() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    lan.host(1).fill_disk();
    let urls = cluster.urls("/billing/hello");
    let ((), load) = lan.host(0).while_asking(12, &urls, |asking| {
        asking.answers(200);
        // The others go on as well: what changes is obeyed where it can be.
        lan.host(0).mesh("env set billing GREETING=hello --no-wait").good();
        until("the others have it", || match [0, 2].map(|n| lan.host(n).get(&urls[n]).unwrap().body) {
            said if said.iter().all(|text| text.starts_with("hello")) => Ok(()),
            said => Err(said),
        });
    });
    load.flawless();
    lan.host(1).free_disk();
    for url in &urls {
        until("all of them have it", || {
            let said: Vec<_> = (0..6).map(|_| lan.host(1).get(url).unwrap().body).collect();
            if said.iter().all(|text| text.starts_with("hello")) { Ok(()) } else { Err(said) }
        });
    }
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
}

fn a_node_that_stood_still_comes_back() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let urls = cluster.urls("/billing/hello");
    let ((), load) = lan.host(0).while_asking(16, &urls[..2], |asking| {
        lan.host(2).freeze();
        lan.host(0).says("h2", "dead");
        until("its replica is elsewhere", || {
            let on: Vec<_> = lan.host(0).replicas();
            let ready = on.iter().filter(|one| one.node != "h2" && one.state == "ready").count();
            if ready == 3 { Ok(()) } else { Err(on) }
        });
        lan.host(2).thaw();
        lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        for host in lan.hosts() {
            until("there are three again, and all know it", || {
                let on = host.replicas();
                if on.len() == 3 && on.iter().all(|one| one.state == "ready") { Ok(()) } else { Err(on) }
            });
        }
        asking.answers(100);
    });
    load.flawless();
}

fn a_node_that_is_killed_again_and_again_harms_nobody() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    let before = lan.host(0).serves_on(&["h0", "h1", "h2"]);
    let urls = cluster.urls("/billing/hello");
    let ((), load) = lan.host(0).while_asking(16, &urls[..2], |asking| {
        for _ in 0..6 {
            cluster.node(2, |node| node.kill9());
            cluster.run(2);
            asking.answers(50);
        }
        lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    });
    load.flawless();
    for host in lan.hosts() {
        assert_eq!(host.serves_on(&["h0", "h1", "h2"]), before, "its replica was never replaced");
    }
}

fn a_link_that_is_dead_one_way_harms_nobody() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    // The first hears nothing of the third any more, though all others do, and the third hears it.
    let ((), load) = lan.host(0).while_asking(16, &cluster.urls("/billing/hello")[..2], |asking| {
        asking.answers(100);
        lan.cut_one_way(&[2], &[0]);
        asking.answers(3000);
    });
    load.flawless();
    lan.heal();
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
}

fn clocks_that_differ_by_hours_harm_nobody() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    for (host, ahead) in [(1, 3 * 3600), (2, -2 * 3600)] {
        cluster.node(host, |node| node.stop());
        lan.host(host).set_clock(ahead);
        cluster.run(host);
    }
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    let ((), load) = lan.host(0).while_asking(6, &cluster.urls("/billing/hello"), |asking| {
        lan.host(0).mesh("env set billing GREETING=hello").good();
        asking.answers(100);
    });
    load.flawless();
    assert!(lan.host(2).answers("/billing/hello").starts_with("hello"));
}
