use crate::testing::*;
use crate::{Decision, World, decide, verdicts};
use genome::{Budget, Plan, ReplicaState};
use proptest::prelude::*;
use std::collections::BTreeMap;
use types::{AppName, Nutrients, Workload};

const APPS: [&str; 4] = ["billing", "frontend", "import", "search"];

prop_compose! {
    /// A plan of any of a few apps, some with constraints, a fixed port, or no needs.
    fn any_plan(index: usize)(
        replicas in 0u32..8, cpu in prop::sample::select(vec![0u64, 100, 300, 700]),
        memory in prop::sample::select(vec![0u64, 100, 600]), zone in prop::option::weighted(0.3, 0u8..2),
        port in prop::sample::select(vec![0u16, 0, 0, 8081, 8082]),
    ) -> Plan {
        let mut plan = plan(APPS[index], replicas);
        plan.release.nutrients = Nutrients { cpu_milli: cpu, memory_mb: memory };
        plan.release.port = port;
        plan.constraints = zone.map(|zone| ("zone".to_owned(), zone.to_string())).into_iter().collect();
        plan
    }
}

prop_compose! {
    /// A few nodes, some on one host, some in a zone, some small; a few apps; nothing runs.
    fn any_mesh()(
        nodes in prop::collection::vec((0u8..3, 0u8..4, 200u64..1500), 0..8),
        plans in (any_plan(0), any_plan(1), any_plan(2), any_plan(3)),
        generations in prop::array::uniform4(1u64..3), apps in 1usize..=4, cap in prop::option::of(0u32..6),
    ) -> Mesh {
        let mut mesh = Mesh::of(nodes.len());
        for (node, (zone, host, cpu)) in mesh.nodes.iter_mut().zip(nodes) {
            node.labels.insert("zone".to_owned(), zone.to_string());
            node.host = if host == 0 { String::new() } else { format!("host-{host}") };
            node.capacity.cpu_milli = cpu;
        }
        mesh.plans = generations.into_iter().zip([plans.0, plans.1, plans.2, plans.3]).take(apps).collect();
        mesh.budgets.extend(cap.map(|cap| Budget {
            app_name: app("billing"), max_instances: cap, cpu_milli: 1500, memory_mb: 10_000,
        }));
        mesh
    }
}

/// Whether every promise of a decision can be kept.
fn check_promises(mesh: &Mesh) -> Result<(), TestCaseError> {
    let decision = mesh.decide();
    let mut promised: BTreeMap<_, Nutrients> = BTreeMap::new();
    let mut ports = std::collections::BTreeSet::new();
    for (_, plan) in &mesh.plans {
        let decided = &decision.apps[&plan.app_name];
        prop_assert!(decided.wanted <= plan.max);
        prop_assert_eq!(decided.slots.len() as u32 + decided.unplaced, decided.wanted);
        prop_assert!(decided.slots.keys().all(|slot| *slot < decided.wanted));
        if let Some(budget) = mesh.budgets.iter().find(|budget| budget.app_name == plan.app_name) {
            let count = decided.slots.len() as u64;
            prop_assert!(count <= u64::from(budget.max_instances));
            prop_assert!(count * plan.release.nutrients.cpu_milli <= budget.cpu_milli);
        }
        let verdicts = verdicts(&mesh.world(), &decision, &plan.app_name);
        prop_assert!(!verdicts.values().any(|why| why.starts_with("it fits")), "{verdicts:?}");
        for on in decided.slots.values() {
            let node = mesh.nodes.iter().find(|node| node.node_id == *on).unwrap();
            prop_assert!(plan.constraints.iter().all(|(name, value)| node.labels.get(name) == Some(value)));
            let sum = promised.entry(on.clone()).or_default();
            sum.cpu_milli += plan.release.nutrients.cpu_milli;
            sum.memory_mb += plan.release.nutrients.memory_mb;
            prop_assert!(sum.cpu_milli <= node.capacity.cpu_milli, "{on} has too much");
            prop_assert!(sum.memory_mb <= node.capacity.memory_mb, "{on} has too much");
            let host = if node.host.is_empty() { on.as_str() } else { &node.host };
            let port = plan.release.port;
            prop_assert!(port == 0 || ports.insert((host.to_owned(), port)), "port {port} twice on {host}");
        }
    }
    Ok(())
}

/// The same in another order.
fn turned<T: Copy>(list: &[T], by: usize) -> Vec<T> {
    let by = by % list.len().max(1);
    list[by..].iter().chain(&list[..by]).rev().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_order_of_what_is_known_does_not_matter(mut mesh in any_mesh(), turn in 0usize..8) {
        for _ in 0..2 {
            let straight = mesh.decide();
            let world = mesh.world();
            let turned = World {
                plans: turned(&world.plans, turn),
                nodes: turned(&world.nodes, turn),
                endpoints: turned(&world.endpoints, turn),
                ..world
            };
            prop_assert_eq!(decide(&turned), straight);
            mesh.settle();
        }
    }

    #[test]
    fn promises_can_be_kept(mut mesh in any_mesh(), gone in 0usize..8, drained in 0usize..8) {
        check_promises(&mesh)?;
        mesh.settle();
        mesh.drained.extend(mesh.nodes.get(drained).map(|node| node.node_id.clone()));
        check_promises(&mesh)?;
        if gone < mesh.nodes.len() {
            mesh.nodes.remove(gone);
        }
        check_promises(&mesh)?;
        for node in &mut mesh.nodes {
            node.capacity.cpu_milli /= 2;
            node.host = "one".to_owned();
        }
        check_promises(&mesh)?;
    }

    #[test]
    fn deciding_again_on_the_outcome_moves_nothing(mut mesh in any_mesh(), gone in 0usize..8) {
        let first = mesh.settle();
        prop_assert_eq!(mesh.decide(), first);
        if gone < mesh.nodes.len() {
            let node = mesh.nodes.remove(gone);
            let second = mesh.settle();
            prop_assert_eq!(mesh.decide(), second);
            mesh.drained.extend(mesh.nodes.first().map(|node| node.node_id.clone()));
            mesh.nodes.push(node);
            // The port of what has left a drained node may be what another replica waited for.
            let rounds = (0..4).map(|_| mesh.settle()).collect::<Vec<_>>();
            prop_assert_eq!(&mesh.decide(), rounds.last().unwrap());
        }
    }

    #[test]
    fn a_decision_stays_while_its_outcome_becomes_visible_in_any_order(
        mut mesh in any_mesh(), seen in prop::collection::vec(any::<bool>(), 40),
    ) {
        let decision = mesh.settle();
        let mut seen = seen.into_iter().cycle();
        mesh.endpoints.retain(|_| seen.next().unwrap());
        for endpoint in &mut mesh.endpoints {
            endpoint.state = ReplicaState::Pulling;
        }
        prop_assert_eq!(mesh.decide(), decision);
    }

    #[test]
    fn what_replaces_a_lost_node_stays_while_it_becomes_visible_in_any_order(
        nodes in 2usize..9, replicas in 0u32..24, gone in 0usize..9, seen in prop::collection::vec(any::<bool>(), 24),
    ) {
        let mut mesh = Mesh::of(nodes).with(plan("billing", replicas));
        mesh.settle();
        let gone = mesh.nodes.remove(gone % nodes).node_id;
        let lost: Vec<u32> = mesh.endpoints.iter().filter(|e| e.node_id == gone).map(|e| e.slot).collect();
        let decision = mesh.settle();
        let mut seen = seen.into_iter();
        mesh.endpoints.retain(|endpoint| !lost.contains(&endpoint.slot) || seen.next().unwrap());
        for endpoint in mesh.endpoints.iter_mut().filter(|endpoint| lost.contains(&endpoint.slot)) {
            endpoint.state = ReplicaState::Launching;
        }
        prop_assert_eq!(mesh.decide(), decision);
    }

    #[test]
    fn a_newcomer_never_drives_out_what_runs(mut mesh in any_mesh()) {
        let newcomer = mesh.plans.pop().unwrap();
        let before = mesh.settle();
        mesh.plans.insert(0, (1, newcomer.1));
        let after = mesh.decide();
        for (name, decided) in &before.apps {
            for slot in decided.slots.keys() {
                prop_assert!(after.apps[name].slots.contains_key(slot), "{name} lost slot {slot}");
            }
        }
        prop_assert_eq!(moves(&before, &after), 0);
    }

    #[test]
    fn a_node_that_goes_moves_its_own_replicas_only(nodes in 2usize..9, replicas in 0u32..24, gone in 0usize..9) {
        let mut mesh = Mesh::of(nodes).with(plan("billing", replicas));
        let before = mesh.settle();
        let gone = mesh.nodes.remove(gone % nodes).node_id;
        let after = mesh.decide();
        let decided = &after.apps[&app("billing")];
        for (slot, on) in &before.apps[&app("billing")].slots {
            prop_assert!(*on == gone || decided.slots.get(slot) == Some(on), "slot {slot} left {on}");
        }
        let loads = loads(&mesh, &after, "billing");
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1 || decided.unplaced > 0);
    }

    #[test]
    fn a_node_that_comes_takes_its_share_at_most(nodes in 1usize..9, replicas in 0u32..80) {
        let mut mesh = Mesh::of(nodes).with(plan("billing", replicas.min(nodes as u32 * 10)));
        let before = mesh.settle();
        mesh.nodes.push(node("node-new"));
        let after = mesh.decide();
        let share = (replicas as usize).div_ceil(nodes + 1);
        prop_assert!(moves(&before, &after) <= share);
        let loads = loads(&mesh, &after, "billing");
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
    }

    #[test]
    fn without_replicas_to_keep_few_places_depend_on_one_node(nodes in 20usize..40, gone in 0usize..40) {
        let name = |index: usize| AppName::new(&format!("app-{index}")).unwrap();
        let mut mesh = Mesh::of(nodes);
        mesh.plans = (0..20).map(|index| (1, Plan::new(name(index), release("v1"), 3))).collect();
        let before = mesh.decide();
        let gone = mesh.nodes.remove(gone % nodes).node_id;
        let after = mesh.decide();
        // A node that is full passes replicas on to the next, which then may be: a few of the 60 move with it.
        prop_assert!(moves(&before, &after) <= 20, "{} moved with {gone}", moves(&before, &after));
    }

    #[test]
    fn replicas_spread_before_they_stack(nodes in 1usize..9, replicas in 0u32..80) {
        let mesh = Mesh::of(nodes).with(plan("billing", replicas.min(nodes as u32 * 10)));
        let loads = loads(&mesh, &mesh.decide(), "billing");
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
    }

    #[test]
    fn replicas_spread_over_zones_then_nodes(zones in 1usize..5, nodes in 1usize..5, replicas in 0u32..40) {
        let mut mesh = Mesh::of(zones * nodes).with(plan("billing", replicas.min((zones * nodes) as u32 * 10)));
        for (index, node) in mesh.nodes.iter_mut().enumerate() {
            node.labels.insert("zone".into(), (index % zones).to_string());
        }
        let even = |loads: &[usize]| loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1;
        let check = |mesh: &Mesh, decision: &Decision| {
            let loads = loads(mesh, decision, "billing");
            let zone = |zone: usize| loads.iter().skip(zone).step_by(zones).copied().collect::<Vec<_>>();
            let sums: Vec<usize> = (0..zones).map(|z| zone(z).iter().sum()).collect();
            even(&sums) && (0..zones).all(|z| even(&zone(z)))
        };
        let decision = mesh.settle();
        prop_assert!(check(&mesh, &decision), "{decision:?}");
        // The labels come last: everything is in one zone until then.
        let mut late = mesh.clone();
        late.endpoints.clear();
        late.nodes.iter_mut().for_each(|node| node.labels.clear());
        late.settle();
        late.nodes.clone_from(&mesh.nodes);
        let levelled = late.decide();
        prop_assert!(check(&late, &levelled), "{levelled:?}");
    }

    #[test]
    fn fewer_replicas_leave_the_others_where_they_are(nodes in 1usize..9, replicas in 0u32..50, fewer in 0u32..50) {
        let mut mesh = Mesh::of(nodes).with(plan("billing", replicas));
        let before = mesh.settle();
        mesh.plans[0].1 = plan("billing", fewer.min(replicas));
        prop_assert_eq!(moves(&before, &mesh.decide()), 0);
    }
}

#[test]
fn small_apps_share_the_nodes_by_what_these_can_hold() {
    let names: Vec<AppName> = (0..30).map(|index| AppName::new(&format!("app-{index}")).unwrap()).collect();
    let mut mesh = Mesh::of(3);
    for node in &mut mesh.nodes {
        node.capacity = Nutrients { cpu_milli: 10_000, memory_mb: 10_000 };
    }
    mesh.nodes[2].capacity = Nutrients { cpu_milli: 40_000, memory_mb: 40_000 };
    mesh.plans = names.iter().map(|name| (1, Plan::new(name.clone(), release("v1"), 1))).collect();
    let decision = mesh.decide();
    let held = mesh.nodes.iter().map(|node| decision.of_node(&node.node_id).len()).collect::<Vec<_>>();
    // A fair part of 30 is 5, 5 and 20.
    assert!(held[0] <= 7 && held[1] <= 7 && held[2] <= 25, "{held:?}");
}

#[test]
fn no_node_of_a_large_mesh_has_a_quarter_more_than_the_mean() {
    let mut mesh = Mesh::of(100);
    mesh.nodes.iter_mut().for_each(|node| node.capacity = Nutrients { cpu_milli: 9999, memory_mb: 9999 });
    let name = |index| AppName::new(&format!("app-{index}")).unwrap();
    mesh.plans = (0..100).map(|index| (1, Plan::new(name(index), release("v1"), 10))).collect();
    let decision = mesh.decide();
    let most = mesh.nodes.iter().map(|node| decision.of_node(&node.node_id).len()).max().unwrap();
    assert!(most <= 12, "{most} of 1000 on one of 100 nodes");
}

#[test]
fn a_move_that_makes_room_lets_in_what_had_none() {
    let mut mesh = Mesh::of(2).with(plan("billing", 2)).with(plan("search", 1));
    mesh.nodes[1].capacity.cpu_milli = 600;
    mesh.plans[0].1.release.nutrients.cpu_milli = 300;
    mesh.plans[1].1.release.nutrients.cpu_milli = 700;
    mesh.endpoints = vec![endpoint("billing", "node-1", 0), endpoint("billing", "node-1", 1)];
    let decision = mesh.decide();
    assert_eq!(decision.apps[&app("search")].slots[&0].as_str(), "node-1");
    assert_eq!(loads(&mesh, &decision, "billing"), [1, 1]);
}

#[test]
fn a_service_levels_out_where_a_running_job_stays() {
    let mut mesh = Mesh::of(2).with(plan("billing", 2));
    mesh.endpoints = vec![endpoint("billing", "node-1", 0), endpoint("billing", "node-1", 1)];
    assert_eq!(loads(&mesh, &mesh.decide(), "billing"), [1, 1]);
    mesh.plans[0].1.release.workload = Workload::Job;
    for endpoint in &mut mesh.endpoints {
        endpoint.revision = mesh.plans[0].1.release.revision();
    }
    assert_eq!(loads(&mesh, &mesh.decide(), "billing"), [2, 0]);
}
