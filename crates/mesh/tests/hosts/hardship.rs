//! A host in trouble: the others don't notice, and it recovers by itself.

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::node::until;
use crate::tests;

tests!(
    a_full_disk_stops_nothing_that_runs,
    a_node_that_stood_still_comes_back,
    a_node_that_is_killed_again_and_again_harms_nobody,
);

fn a_full_disk_stops_nothing_that_runs() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    lan.host(1).fill_disk();
    let ((), load) = lan.host(0).while_asking(12, &cluster.urls("/billing/hello"), |asking| {
        // What others run is changed meanwhile.
        lan.host(0).mesh("stop billing --no-wait");
        lan.host(0).mesh("scale billing 2 --no-wait");
        asking.answers(200);
    });
    drop(load);
    lan.host(1).free_disk();
    lan.host(0).mesh("scale billing 3").good();
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
