use crate::testing::*;
use crate::verdicts;
use genome::{Endpoint, Node, ReplicaState};
use proptest::prelude::*;
use types::{AppName, Workload};

/// One step that some node takes by itself: a replica starts, comes one state nearer to serving, or goes.
fn steps(mesh: &Mesh) -> Vec<Vec<Endpoint>> {
    let decision = mesh.decide();
    let mut steps = Vec::new();
    for (app, decided) in &decision.apps {
        for (slot, on) in &decided.slots {
            if !mesh.endpoints.iter().any(|e| e.app_name == *app && e.slot == *slot && e.node_id == *on) {
                let mut new = endpoint(app.as_str(), on.as_str(), *slot);
                (new.state, new.revision) = (ReplicaState::Launching, decided.revision.clone());
                steps.push(mesh.endpoints.iter().cloned().chain([new]).collect());
            }
        }
    }
    for (index, endpoint) in mesh.endpoints.iter().enumerate() {
        let mut next = mesh.endpoints.clone();
        let decided = &decision.apps[&endpoint.app_name];
        let holds = |slots: &std::collections::BTreeMap<u32, types::NodeName>| {
            slots.get(&endpoint.slot) == Some(&endpoint.node_id)
        };
        if !holds(&decided.slots) && !holds(&decided.stays) {
            next.remove(index);
        } else if endpoint.state == ReplicaState::Launching {
            next[index].state = ReplicaState::Ready;
        } else {
            continue;
        }
        steps.push(next);
    }
    steps
}

/// How many slots of an app are served.
fn served(mesh: &Mesh, name: &AppName) -> usize {
    let ready = mesh.endpoints.iter().filter(|endpoint| endpoint.app_name == *name && endpoint.is_ready());
    ready.map(|endpoint| endpoint.slot).collect::<std::collections::BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_moves_is_served_all_the_time(
        nodes in 2usize..7, replicas in prop::array::uniform2(0u32..9), port in prop::sample::select(vec![0u16, 8081]),
        drained in prop::collection::btree_set(0usize..7, 0..4), joins in 0usize..3, zones in 1usize..4,
        choices in prop::collection::vec(any::<prop::sample::Index>(), 120),
    ) {
        let label = |(index, node): (usize, &mut Node)| {
            node.labels.insert("zone".into(), (index % zones).to_string());
        };
        let mut mesh = Mesh::of(nodes).with(plan("billing", replicas[0])).with(plan("search", replicas[1]));
        mesh.plans[1].1.release.port = port;
        mesh.nodes.iter_mut().enumerate().for_each(label);
        mesh.settle();
        let names: Vec<AppName> = ["billing", "search"].map(app).into();
        let before: Vec<usize> = names.iter().map(|name| served(&mesh, name)).collect();
        mesh.drained = drained.iter().filter_map(|at| mesh.nodes.get(*at)).map(|node| node.node_id.clone()).collect();
        mesh.nodes.extend((0..joins).map(|n| node(&format!("new-{n}"))));
        mesh.nodes.iter_mut().enumerate().for_each(label);
        for choice in choices {
            let mut steps = steps(&mesh);
            if steps.is_empty() {
                break;
            }
            mesh.endpoints = steps.swap_remove(choice.index(steps.len()));
            for (name, before) in names.iter().zip(&before) {
                prop_assert!(served(&mesh, name) >= *before, "{name} lost one: {:#?}", mesh.endpoints);
            }
        }
        prop_assert!(steps(&mesh).is_empty(), "it comes to an end");
        let living = nodes + joins - mesh.drained.len();
        for endpoint in &mesh.endpoints {
            let stayed = mesh.drained.contains(&endpoint.node_id);
            let room = if endpoint.app_name == names[0] || port == 0 { 10 * living } else { living };
            prop_assert!(!stayed || (replicas[0] + replicas[1]) as usize > room, "{} has not moved", endpoint.slot);
        }
    }
}

#[test]
fn a_drained_node_gives_a_replica_up_once_another_serves_and_gets_no_new_one() {
    let mut mesh = Mesh::of(2).with(plan("billing", 1));
    mesh.endpoints = vec![endpoint("billing", "node-1", 0)];
    mesh.drained.insert(node_name("node-1"));
    let billing = app("billing");
    let decided = |mesh: &Mesh| mesh.decide().apps[&billing].clone();
    let both = decided(&mesh);
    assert_eq!((both.slots[&0].as_str(), both.stays[&0].as_str()), ("node-2", "node-1"));
    let decision = mesh.decide();
    assert!(decision.of_node(&node_name("node-1")).is_empty(), "nothing is started there");
    assert_eq!(decision.stays_of(&node_name("node-1")), [(billing.clone(), 0)].into());
    let said =
        |mesh: &Mesh, on: &str| verdicts(&mesh.world(), &mesh.decide(), &billing)[&node_name(on)].clone();
    assert_eq!(said(&mesh, "node-1"), "serves slot 0 until node-2 does; drained");

    let mut heir = endpoint("billing", "node-2", 0);
    heir.state = ReplicaState::Launching;
    mesh.endpoints.push(heir);
    assert_eq!(decided(&mesh), both, "while it starts nothing changes");
    mesh.endpoints[1].state = ReplicaState::Ready;
    assert!(decided(&mesh).stays.is_empty());
    assert_eq!(said(&mesh, "node-1"), "drained: it gets no new work");
    mesh.endpoints.remove(0);
    mesh.plans[0].1.max = 2;
    mesh.plans[0].1.min = 2;
    assert!(decided(&mesh).slots.values().all(|on| on.as_str() == "node-2"));
}

#[test]
fn where_nothing_else_fits_a_replica_stays_and_the_node_says_so() {
    let mut mesh = Mesh::of(2).with(plan("billing", 2));
    mesh.plans[0].1.release.port = 8081;
    mesh.settle();
    mesh.drained.insert(node_name("node-1"));
    let decision = mesh.settle();
    assert_eq!(loads(&mesh, &decision, "billing"), [1, 1]);
    assert_eq!(mesh.decide(), decision);
    let why = verdicts(&mesh.world(), &decision, &app("billing"));
    let slot = mesh.endpoints.iter().find(|e| e.node_id.as_str() == "node-1").unwrap().slot;
    assert_eq!(
        why[&node_name("node-1")],
        format!("runs slot {slot}; drained, and no other node can take it")
    );
    assert_eq!(why[&node_name("node-2")], format!("runs slot {}", 1 - slot));

    mesh.nodes.push(node("node-3"));
    assert_eq!(loads(&mesh, &mesh.decide(), "billing"), [0, 1, 1]);
    mesh.drained.clear();
    assert_eq!(mesh.decide(), decision, "undrained in time, nothing moves");
}

#[test]
fn a_job_ends_on_its_drained_node_and_the_next_run_is_elsewhere() {
    let mut mesh = Mesh::of(2).with(plan("import", 1));
    mesh.plans[0].1.release.workload = Workload::Job;
    let mut running = endpoint("import", "node-1", 0);
    running.revision = mesh.plans[0].1.release.revision();
    mesh.endpoints = vec![running];
    mesh.drained.insert(node_name("node-1"));
    let holder = |mesh: &Mesh| mesh.decide().apps[&app("import")].slots[&0].to_string();
    assert_eq!(holder(&mesh), "node-1");
    mesh.endpoints[0].state = ReplicaState::Pulling;
    assert_eq!(holder(&mesh), "node-2", "it has not begun");
    mesh.endpoints[0].state = ReplicaState::Ready;
    mesh.plans[0].1.release.restart += 1;
    let decided = mesh.decide().apps[&app("import")].clone();
    assert_eq!((decided.slots[&0].as_str(), decided.stays.len()), ("node-2", 0));
}
