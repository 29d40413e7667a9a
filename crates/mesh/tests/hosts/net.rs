//! The links between nodes: who is where, how far, and what happens when that changes.

use crate::cluster::Cluster;
use crate::host::Host;
use crate::lan::{Family, Lan};
use crate::node::until;
use crate::tests;

tests!(
    the_commands_of_the_network_tell_who_is_where,
    ipv4_alone_is_enough,
    ipv6_alone_is_enough,
    a_moved_node_is_found_again,
    what_a_stopped_node_knew_is_enough_to_come_back,
);

fn the_commands_of_the_network_tell_who_is_where() {
    let lan = Lan::new(3);
    let _cluster = Cluster::on(&lan);
    let peers = until("h0 is linked to both others", || {
        let network = lan.host(0).json("net peers");
        let linked = |peer: &&serde_json::Value| peer["address"].is_string();
        let count = network["peers"].as_array().unwrap().iter().filter(linked).count();
        if count == 2 { Ok(network) } else { Err(network) }
    });
    assert_eq!(peers["nodeID"], "h0");
    let said = lan.host(0).mesh("net ping h2 --count 2").good().stdout;
    let of_h2 = |ip: std::net::IpAddr| said.contains(&std::net::SocketAddr::new(ip, 7433).to_string());
    assert!(
        said.starts_with("h2 answers at ") && (of_h2(lan.host(2).v4()) || of_h2(lan.host(2).v6())),
        "{said}"
    );
    let path = lan.host(0).mesh("net path h2").good().stdout;
    assert!(path.contains("encrypted") && path.contains(&lan.host(2).v4().to_string()), "{path}");
    let ran = lan.host(0).mesh("net ping h9");
    assert!(ran.code != 0 && ran.stderr.contains("h9"), "{ran:?}");
}

fn ipv4_alone_is_enough() {
    one_family(Family::V4, Host::v4);
}

fn ipv6_alone_is_enough() {
    one_family(Family::V6, Host::v6);
}

fn one_family(family: Family, ip: fn(&Host) -> std::net::IpAddr) {
    let lan = Lan::of(2, family);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    lan.host(0).serves_on(&["h0", "h1"]);
    let said = lan.host(1).mesh("net ping h0").good().stdout;
    assert!(said.contains(&ip(lan.host(0)).to_string()), "{said}");
    let edge = std::net::SocketAddr::new(ip(lan.host(1)), 8080);
    let answer = lan.host(0).get(&format!("http://{edge}/billing/hello")).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn a_moved_node_is_found_again() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    let before = lan.host(0).serves_on(&["h0", "h1", "h2"]);
    lan.move_host(2);
    // Nothing is ever sent to where it was: whoever reaches it does so where it is now.
    until("h2 is reached at its new address", || {
        let ran = lan.host(0).mesh("net ping h2 --count 1");
        let new = [lan.host(2).v4(), lan.host(2).v6()].map(|ip| ip.to_string());
        let at =
            |ip: &String| ran.stdout.contains(&format!("{ip}:")) || ran.stdout.contains(&format!("[{ip}]"));
        if ran.code == 0 && new.iter().any(at) { Ok(()) } else { Err(ran) }
    });
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    assert_eq!(lan.host(1).serves_on(&["h0", "h1", "h2"]), before, "nothing was placed anew");
    until("its new address is known", || {
        let network = lan.host(1).json("nodes");
        let told = network[2]["addresses"].to_string();
        if told.contains(&lan.host(2).v4().to_string()) { Ok(()) } else { Err(told) }
    });
}

fn what_a_stopped_node_knew_is_enough_to_come_back() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.node(1, |node| node.stop());
    lan.host(0).says("h1", "left");
    // The one that it joined by is gone as well, and another has moved meanwhile.
    cluster.power_off(0);
    cluster.run(1);
    lan.host(1).sees(&lan.hosts()[1..]);
    cluster.run(0);
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
}
