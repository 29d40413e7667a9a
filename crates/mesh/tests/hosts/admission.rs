//! Who gets into a mesh, and who doesn't.

use crate::cluster::{Cluster, RUN, ticket};
use crate::lan::Lan;
use crate::node::until;
use crate::tests;

tests!(
    a_ticket_lets_one_machine_in,
    a_late_ticket_opens_nothing,
    a_removed_ticket_opens_nothing,
    a_stranger_is_turned_away_with_a_reason,
    memberships_are_renewed_in_time,
    a_removed_node_is_out_for_good,
    a_restart_of_a_node_leaves_workloads_alone,
    members_stay_without_their_issuer,
    a_second_issuer_lets_in,
    memberships_are_renewed,
    a_week_away_costs_no_membership,
);

/// Seconds in an hour.
const HOUR: i64 = 3600;

fn a_ticket_lets_one_machine_in() {
    let lan = Lan::new(3);
    let (first, second, third) = (lan.host(0), lan.host(1), lan.host(2));
    first.mesh("node init").good();
    let mesh = first.start(RUN);
    mesh.ready();
    let ticket = ticket(first);
    second.mesh(&format!("node join {ticket}")).good();
    let ran = third.mesh(&format!("node join {ticket}")).ended(4);
    assert!(ran.stderr.contains("used"), "{ran:?}");
    mesh.line("the refusal", |line| line.contains("refused to let a node join as h2"));
    let tickets = first.json("ticket list");
    assert_eq!(tickets[0]["usedBy"], "h1", "{tickets}");
    let node = second.start(RUN);
    node.ready();
    second.sees(&lan.hosts()[..2]);
    first.sees(&lan.hosts()[..2]);
    // It is a node already: a second joining changes nothing.
    node.stop();
    second.mesh(&format!("node join {ticket}")).ended(4);
    let ran = second.mesh(&format!("node join {}", self::ticket(first))).ended(1);
    assert!(ran.stderr.contains("already"), "{ran:?}");
    let node = second.start(RUN);
    node.ready();
    second.sees(&lan.hosts()[..2]);
}

fn a_late_ticket_opens_nothing() {
    let lan = Lan::new(2);
    lan.host(0).mesh("node init").good();
    let mesh = lan.host(0).start(RUN);
    mesh.ready();
    let ticket = lan.host(0).mesh("ticket new --ttl 1ms").good().stdout;
    let ran = lan.host(1).mesh(&format!("node join {}", ticket.trim())).ended(4);
    assert!(ran.stderr.contains("expired"), "{ran:?}");
    mesh.line("the refusal", |line| line.contains("refused to let a node join as h1"));
}

fn a_removed_ticket_opens_nothing() {
    let lan = Lan::new(2);
    let issuer = lan.host(0);
    issuer.mesh("node init").good();
    let mesh = issuer.start(RUN);
    mesh.ready();
    let ticket = ticket(issuer);
    let id = issuer.json("ticket list")[0]["id"].as_str().unwrap().to_owned();
    issuer.mesh(&format!("ticket remove {id}")).good();
    lan.host(1).mesh(&format!("node join {ticket}")).ended(4);
    mesh.line("the refusal", |line| line.contains("refused to let a node join as h1"));
}

fn a_stranger_is_turned_away_with_a_reason() {
    let lan = Lan::new(3);
    {
        lan.host(0).mesh("node init").good();
        let mesh = lan.host(0).start(RUN);
        mesh.ready();
        lan.host(1).mesh(&format!("node join {}", ticket(lan.host(0)))).good();
    }
    let mesh = lan.host(0).start(RUN);
    mesh.ready();
    // A mesh of its own, whose node takes the first one's address and key for those of a friend.
    let stranger = lan.host(2);
    stranger.mesh("node init").good();
    let file = |host: usize| lan.host(host).state().join("node.json");
    let friend: serde_json::Value = serde_json::from_slice(&std::fs::read(file(1)).unwrap()).unwrap();
    let mut own: serde_json::Value = serde_json::from_slice(&std::fs::read(file(2)).unwrap()).unwrap();
    own["seeds"] = friend["seeds"].clone();
    std::fs::write(file(2), own.to_string()).unwrap();
    let node = stranger.start(RUN);
    node.ready();
    node.line("why it isn't let in", |line| line.contains("did not let us in"));
    mesh.line("who was turned away", |line| line.contains("turned a node away"));
    assert!(!lan.host(0).nodes().iter().any(|(name, _)| name == "h2"));
}

fn memberships_are_renewed_in_time() {
    let lan = Lan::new(2);
    let [issuer, member] = [lan.host(0), lan.host(1)];
    issuer.mesh("node init --membership-life 3s").good();
    let first = issuer.start(RUN);
    first.ready();
    member.mesh(&format!("node join {}", ticket(issuer))).good();
    let second = member.start(RUN);
    second.ready();
    let ends = |of: usize| -> Vec<String> {
        let nodes = lan.host(of).json("nodes");
        let end = |node: &serde_json::Value| node["memberUntil"].as_str().unwrap_or_default().to_owned();
        nodes.as_array().unwrap().iter().map(end).collect()
    };
    until("each knows both", || if ends(0).len() == 2 && ends(1).len() == 2 { Ok(()) } else { Err(ends(0)) });
    let before = ends(0);
    // The issuer renews its own, the member asks it; and each hears of the other's.
    for of in [0, 1] {
        until("both are renewed", || {
            let now = ends(of);
            let renewed = now.iter().zip(&before).all(|(now, before)| now > before);
            if renewed { Ok(()) } else { Err(now) }
        });
    }
    second.line("that it was renewed", |line| line.contains("renewed the membership of this node"));
}

fn a_removed_node_is_out_for_good() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 3);
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    lan.host(0).mesh("node remove h2 --reason stolen").good();
    for host in &lan.hosts()[..2] {
        let left = |(name, state): &(String, String)| name != "h2" || state != "here";
        crate::node::until("h2 is out", || {
            let nodes = host.nodes();
            if nodes.iter().all(left) { Ok(()) } else { Err(nodes) }
        });
    }
    lan.host(0).serves_on(&["h0", "h0", "h1"]);
    cluster.node(2, |node| node.stop());
    // Nor does it come back by starting anew.
    let node = lan.host(2).start(RUN);
    node.line("why it isn't let in", |line| line.contains("was revoked"));
    assert_ne!(node.ended(), 0);
    assert_ne!(lan.host(0).state_of("h2"), "here");
}

fn a_restart_of_a_node_leaves_workloads_alone() {
    let lan = Lan::new(2);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 2);
    let before = lan.host(1).serves_on(&["h0", "h1"]);
    cluster.run_as(1, &format!("{RUN} --keep-workloads"));
    cluster.node(1, |node| node.stop());
    cluster.run(1);
    assert_eq!(lan.host(1).serves_on(&["h0", "h1"]), before);
    assert_eq!(lan.host(0).serves_on(&["h0", "h1"]), before);
    // A crash neither.
    cluster.node(1, |node| node.kill9());
    cluster.run(1);
    assert_eq!(lan.host(0).serves_on(&["h0", "h1"]), before);
}

fn members_stay_without_their_issuer() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.power_off(0);
    lan.host(1).says("h0", "dead");
    // Both start anew, and still believe each other.
    for host in [1, 2] {
        cluster.node(host, |node| node.stop());
        cluster.run(host);
    }
    lan.host(1).sees(&lan.hosts()[1..]);
    lan.host(2).sees(&lan.hosts()[1..]);
    // But only an issuer lets in.
    let ran = lan.host(1).mesh("ticket new").ended(1);
    assert!(ran.stderr.contains("issuer"), "{ran:?}");
}

fn a_second_issuer_lets_in() {
    let lan = Lan::new(3);
    let (first, second, third) = (lan.host(0), lan.host(1), lan.host(2));
    first.mesh("node init").good();
    let mesh = first.start(RUN);
    mesh.ready();
    second.mesh(&format!("node join {}", ticket(first))).good();
    let node = second.start(RUN);
    node.ready();
    second.sees(&lan.hosts()[..2]);
    first.mesh("node issuer add h1").good();
    let ticket = crate::node::until("h1 makes tickets", || match second.mesh("ticket new") {
        ran if ran.code == 0 => Ok(ran.stdout.trim().to_owned()),
        ran => Err(ran),
    });
    first.power_off();
    third.mesh(&format!("node join {ticket}")).good();
    let node = third.start(RUN);
    node.ready();
    third.sees(&lan.hosts()[1..]);
}

fn memberships_are_renewed() {
    let lan = Lan::new(2);
    let cluster = Cluster::on(&lan);
    let until = |host: usize| lan.host(0).json("nodes")[host]["memberUntil"].as_str().unwrap().to_owned();
    let before = [0, 1].map(until);
    // Days go by; each night the clocks are looked at. The issuer renews its own, then the other's.
    for host in [0, 1] {
        lan.host(host).set_clock(18 * HOUR);
        cluster.node(host, |node| node.stop());
        cluster.run(host);
        cluster.node(host, |node| node.line("the renewal", |line| line.contains("renewed the membership")));
        crate::node::until("the others know it", || match until(host) {
            now if now > before[host] => Ok(()),
            now => Err(now),
        });
    }
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
}

fn a_week_away_costs_no_membership() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 1);
    // One was away for a week, and is known: it stays a member.
    cluster.node(1, |node| node.stop());
    for host in [0, 2] {
        cluster.node(host, |node| node.stop());
        lan.host(host).set_clock(7 * 24 * HOUR);
        cluster.run(host);
    }
    lan.host(1).set_clock(7 * 24 * HOUR);
    cluster.run(1);
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    assert!(lan.host(1).answers("/billing/hello").starts_with("hi from billing"));
}
