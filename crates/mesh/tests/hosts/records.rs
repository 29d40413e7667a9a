//! What operators say: said to any node, obeyed by all; and what is said twice.

use serde_json::Value;

use crate::cluster::{Cluster, RUN, ticket};
use crate::lan::Lan;
use crate::node::until;
use crate::tests;
use crate::workloads::spore;

tests!(
    a_plan_that_any_node_hears_is_obeyed_by_all,
    publishing_on_one_node_is_enough,
    a_plan_that_a_newcomer_hears_first_is_safe_elsewhere,
    what_is_written_on_two_sides_of_a_cut_is_shown_and_settled,
    an_operator_elsewhere_is_served,
    a_removed_operator_is_obeyed_no_longer,
);

fn a_plan_that_any_node_hears_is_obeyed_by_all() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    let said = cluster.deploy(0, 1).stderr;
    assert!(said.contains("on 3 nodes"), "{said}");
    // The operator's key is on the first host; it is taken along, as a person would.
    carry_keys(&lan, 2);
    lan.host(2).mesh("scale billing 3").good();
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&["h0", "h1", "h2"])));
    lan.host(2).mesh("stop billing").good();
    lan.hosts().iter().for_each(|host| drop(host.serves_on(&[])));
}

fn publishing_on_one_node_is_enough() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    let spore = spore(lan.host(0), "billing", "v0.1.0");
    let digest = lan.host(0).mesh(&format!("publish {spore}")).good().stdout.trim().to_owned();
    assert_eq!(lan.host(1).json("repo list").as_array().unwrap().len(), 0);
    lan.host(0).mesh(&format!("deploy {digest} -instances 3")).good();
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    let kept = lan.host(1).json("repo list");
    assert_eq!(kept[0]["digest"], *digest, "{kept}");
    // The first is not needed any more: the others give it to whoever comes next.
    cluster.power_off(0);
    lan.host(1).says("h0", "dead");
    lan.host(1).serves_on(&["h1", "h1", "h2"]);
}

fn a_plan_that_a_newcomer_hears_first_is_safe_elsewhere() {
    let lan = Lan::new(2);
    let (first, newcomer) = (lan.host(0), lan.host(1));
    first.mesh("node init").good();
    let mesh = first.start(RUN);
    mesh.ready();
    newcomer.mesh(&format!("node join {}", ticket(first))).good();
    carry_keys(&lan, 1);
    let spore = spore(newcomer, "billing", "v0.1.0");
    let node = newcomer.start(RUN);
    node.ready();
    // It had been let in, and heard of, before it served anybody.
    let log = node.line("that it serves", |line| line.contains("the mesh serves"));
    let log = node.log().split_once(&log).unwrap().0.to_owned();
    assert!(log.contains("node h0 is here"), "{log}");
    let said = newcomer.mesh(&format!("deploy {spore} --no-wait")).good().stderr;
    assert!(said.contains("on 2 nodes"), "{said}");
}

fn what_is_written_on_two_sides_of_a_cut_is_shown_and_settled() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    // Its spore is everywhere, so that each side can do what it is told.
    cluster.deploy(0, 3);
    lan.host(0).serves_on(&["h0", "h1", "h2"]);
    carry_keys(&lan, 2);
    lan.cut(&[0, 1], &[2]);
    lan.host(0).says("h2", "dead");
    lan.host(2).says("h0", "dead");
    lan.host(0).mesh("scale billing 2").good();
    lan.host(2).mesh("scale billing 1").good();
    lan.heal();
    let conflict = until("both know of both", || {
        let [one, other] = [0, 2].map(|host| lan.host(host).json("conflicts"));
        if one == other && one[0].is_object() { Ok(one[0].clone()) } else { Err((one, other)) }
    });
    assert_eq!((conflict["kind"].as_str(), conflict["name"].as_str()), (Some("plan"), Some("billing")));
    let min = |side: &Value| side["value"]["min"].as_u64().unwrap();
    let mut both = [min(&conflict["won"]), min(&conflict["lost"])];
    assert_eq!(conflict["lost"]["value"]["min"].as_u64(), Some(both[1]));
    let (lost, id) = (both[1], conflict["lost"]["id"].as_str().unwrap());
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    // Both sides obey the one that holds, until somebody decides for the other.
    let stranger = lan.host(1).mesh(&format!("conflicts resolve plan billing --keep {id}"));
    assert_ne!(stranger.code, 0, "{stranger:?}");
    lan.host(0).mesh(&format!("conflicts resolve plan billing --keep {}", &id[..12])).good();
    for host in lan.hosts() {
        until("it is settled everywhere", || match host.json("conflicts") {
            Value::Array(left) if left.is_empty() => Ok(()),
            left => Err(left),
        });
        until("the kept one is obeyed", || {
            let count = host.replicas().iter().filter(|replica| replica.state == "ready").count();
            if count as u64 == lost { Ok(()) } else { Err(host.replicas()) }
        });
    }
}

fn an_operator_elsewhere_is_served() {
    let lan = Lan::new(3);
    lan.host(0).mesh("node init").good();
    let node = lan.host(0).start(RUN);
    node.ready();
    let network = lan.host(0).json("net peers");
    let at = format!("{}@{}:7433", network["publicKey"].as_str().unwrap(), lan.host(0).v4());
    let desk = lan.host(2);
    desk.mesh("keys new operator").good();
    // Not before the mesh knows the key.
    let ran = desk.mesh(&format!("context add prod --node {at}"));
    assert_ne!(ran.code, 0, "{ran:?}");
    let public = std::fs::read_dir(desk.state().join("keys")).unwrap().flatten();
    let public =
        public.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "pub")).unwrap();
    std::fs::copy(public, lan.host(0).work().join("desk.pub")).unwrap();
    lan.host(0).mesh("operator add desk desk.pub").good();
    desk.mesh(&format!("context add prod --node {at}")).good();
    let nodes = desk.json("--context prod nodes");
    assert_eq!(nodes[0]["nodeID"], "h0", "{nodes}");
    let spore = spore(desk, "billing", "v0.1.0");
    std::fs::copy(desk.state().join("keys/dev.pub"), desk.work().join("dev.pub")).unwrap();
    desk.mesh("--context prod trust add --mesh dev.pub").good();
    desk.mesh(&format!("--context prod deploy {spore}")).good();
    assert!(lan.host(1).get(&lan.host(0).url("/billing/hello")).unwrap().body.starts_with("hi from billing"));
    // Who isn't known is turned away.
    lan.host(1).mesh("keys new operator").good();
    let ran = lan.host(1).mesh(&format!("context add prod --node {at}"));
    assert!(ran.code != 0 && ran.stderr.contains("operator"), "{ran:?}");
}

fn a_removed_operator_is_obeyed_no_longer() {
    let lan = Lan::new(2);
    let cluster = Cluster::on(&lan);
    cluster.deploy(0, 1);
    let other = lan.host(1);
    other.mesh("keys new operator").good();
    std::fs::copy(other.state().join("keys/operator.pub"), lan.host(0).work().join("other.pub")).unwrap();
    lan.host(0).mesh("operator add other other.pub").good();
    until("the other operator is obeyed", || match other.mesh("scale billing 2") {
        ran if ran.code == 0 => Ok(()),
        ran => Err(ran),
    });
    lan.host(0).serves_on(&["h0", "h1"]);
    lan.host(0).mesh("operator remove other").good();
    until("it is obeyed no longer", || match other.mesh("scale billing 1") {
        ran if ran.code != 0 => Ok(()),
        ran => Err(ran),
    });
    // What it had said holds.
    lan.host(0).serves_on(&["h0", "h1"]);
}

/// Takes the keys of people from the first host to another.
fn carry_keys(lan: &Lan, to: usize) {
    let (from, to) = (lan.host(0).state().join("keys"), lan.host(to).state().join("keys"));
    std::fs::create_dir_all(&to).unwrap();
    for key in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(key.path(), to.join(key.file_name())).unwrap();
    }
}
