use crate::testing::*;
use genome::{Budget, Previous, ReplicaState};
use types::Workload;

#[test]
fn replicas_spread_over_nodes_first_and_stack_after() {
    let mesh = Mesh::of(3).with(plan("billing", 2)).with(plan("frontend", 7));
    let decision = mesh.decide();
    let mut two = loads(&mesh, &decision, "billing");
    let mut seven = loads(&mesh, &decision, "frontend");
    two.sort_unstable();
    seven.sort_unstable();
    assert_eq!((two, seven), (vec![0, 1, 1], vec![2, 2, 3]));
    let of_nodes: usize = mesh.nodes.iter().map(|node| decision.of_node(&node.node_id).len()).sum();
    assert_eq!(of_nodes, 9);
}

#[test]
fn demand_counts_within_min_and_max_and_a_budget_caps() {
    let mut mesh = Mesh::of(3).with(plan("billing", 2));
    mesh.plans[0].1.max = 6;
    mesh.plans[0].1.scale = Some(genome::Scale::default());
    let billing = app("billing");
    let wanted = |mesh: &Mesh| mesh.decide().apps[&billing].wanted;
    assert_eq!(wanted(&mesh), 2);
    for (needed, expected) in [(0, 2), (3_001, 4), (100_000, 6)] {
        mesh.demand = vec![demand("billing", "node-2", needed)];
        assert_eq!(wanted(&mesh), expected, "need {needed}");
    }
    mesh.budgets.push(Budget {
        app_name: billing.clone(),
        max_instances: 5,
        cpu_milli: 450,
        memory_mb: 10_000,
    });
    let decided = mesh.decide().apps[&billing].clone();
    assert_eq!((decided.wanted, decided.slots.len()), (4, 4));
    assert_eq!(decided.limited.as_deref(), Some("the budget holds 4 of 6 replicas"));
    (mesh.plans[0].1.min, mesh.plans[0].1.max) = (0, 0);
    assert_eq!(mesh.decide().apps[&billing].slots.len(), 0);
}

#[test]
fn past_the_threshold_everybody_falls_back_to_the_release_before() {
    let mut mesh = Mesh::of(3).with(plan("billing", 2));
    let plan = &mut mesh.plans[0].1;
    plan.previous = Some(Previous { generation: 1, release: release("v1") });
    plan.release = release("v2");
    plan.rollout.max_failed = 1;
    let billing = app("billing");
    let effective = |mesh: &Mesh| mesh.decide().apps[&billing].clone();

    mesh.observed.push(failed("billing", "node-2", &release("v2"), "exit status 3"));
    mesh.observed.push(failed("billing", "node-2", &release("v2"), "exit status 3"));
    mesh.observed.push(failed("billing", "node-1", &release("v0"), "an older one"));
    assert_eq!((effective(&mesh).release.version, effective(&mesh).fallback), ("v2".into(), None));

    mesh.observed.push(failed("billing", "node-3", &release("v2"), "no answer"));
    let decided = effective(&mesh);
    assert_eq!((&*decided.release.version, decided.revision), ("v1", release("v1").revision()));
    assert_eq!(
        decided.fallback.as_deref(),
        Some("v2 failed on node-2 and one more node: exit status 3; v1 runs instead")
    );
    mesh.plans[0].1.previous = None;
    assert_eq!((effective(&mesh).release.version, effective(&mesh).fallback), ("v2".into(), None));
}

#[test]
fn a_job_that_is_done_stays_done_even_when_its_node_is_gone() {
    let mut mesh = Mesh::of(2).with(plan("import", 2));
    mesh.plans[0].1.release.workload = Workload::Job;
    let before = mesh.settle();
    let gone = before.apps[&app("import")].slots[&0].clone();
    mesh.nodes.retain(|node| node.node_id != gone);
    let after = mesh.decide();
    assert_eq!(after, before);
    let twice: Vec<_> = ["node-1", "node-2"].map(|on| (on, mesh.endpoints[0].clone())).into();
    for (on, mut endpoint) in twice {
        (endpoint.node_id, endpoint.slot) = (node_name(on), 1);
        mesh.endpoints.push(endpoint);
    }
    let forth = mesh.decide();
    mesh.endpoints.reverse();
    assert_eq!(mesh.decide(), forth, "done twice, in whatever order that is known");
    mesh.plans[0].1.release.restart = 1;
    assert!(
        mesh.decide().apps[&app("import")].slots.values().all(|node| *node != gone),
        "a new run is placed"
    );
}

#[test]
fn what_leaves_holds_no_place_and_what_serves_best_holds_it() {
    let mut mesh = Mesh::of(3).with(plan("billing", 1));
    for on in ["node-1", "node-2", "node-3"] {
        let mut leaving = endpoint("billing", on, 0);
        leaving.state = ReplicaState::Draining;
        mesh.endpoints.push(leaving);
    }
    let holder = |mesh: &Mesh| mesh.decide().apps[&app("billing")].slots[&0].to_string();
    for (state, on) in [
        (ReplicaState::Refused, "node-1"),
        (ReplicaState::Backoff, "node-2"),
        (ReplicaState::Launching, "node-3"),
        (ReplicaState::Ready, "node-1"),
    ] {
        let mut endpoint = endpoint("billing", on, 0);
        endpoint.state = state;
        mesh.endpoints.push(endpoint);
        assert_eq!(holder(&mesh), on, "{state}");
    }
    mesh.endpoints.last_mut().unwrap().revision = release("v0").revision();
    assert_eq!(holder(&mesh), "node-3", "what runs the right release goes first");
}
