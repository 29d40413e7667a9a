use crate::testing::*;
use genome::{Demand, Plan, ReplicaState, Scale};
use proptest::prelude::*;
use types::{Aggregate, Metric, Workload};

fn scaled(min: u32, max: u32) -> Plan {
    let mut plan = plan("billing", 1);
    (plan.min, plan.max, plan.scale) = (min, max, Some(Scale::default()));
    plan
}

fn wanted(mesh: &Mesh) -> u32 {
    mesh.decide().apps[&app("billing")].wanted
}

#[test]
fn a_plan_without_a_scale_means_what_it_always_meant() {
    let mut plan = scaled(0, 5);
    plan.scale = None;
    let mut mesh = Mesh::of(2).with(plan);
    mesh.demand = vec![demand("billing", "node-1", 9_000)];
    assert_eq!(wanted(&mesh), 0);
    mesh.plans[0].1.min = 2;
    assert_eq!(wanted(&mesh), 2);
}

#[test]
fn an_app_that_sleeps_is_tried_once_and_then_there_when_somebody_asks() {
    let mut mesh = Mesh::of(3).with(scaled(0, 4));
    let scaling = |mesh: &Mesh| mesh.decide().apps[&app("billing")].scaling.clone();
    assert_eq!((wanted(&mesh), scaling(&mesh).on_trial), (1, true), "nobody has said anything of it");
    mesh.demand = vec![demand("billing", "node-3", 0)];
    assert_eq!((wanted(&mesh), scaling(&mesh).asleep), (0, true));
    mesh.demand.push(demand("billing", "node-1", 1));
    assert_eq!((wanted(&mesh), scaling(&mesh).asleep), (1, false));
    mesh.nodes.retain(|node| node.node_id != node_name("node-1"));
    assert_eq!(wanted(&mesh), 0, "who is gone asks for nothing");
    mesh.nodes.retain(|node| node.node_id != node_name("node-3"));
    assert_eq!(wanted(&mesh), 0, "but what was said of it is known");
    mesh.plans[0].1.release = release("v2");
    assert_eq!((wanted(&mesh), scaling(&mesh).on_trial), (1, true), "of another release it isn't");
    mesh.plans[0].1.max = 0;
    assert_eq!(wanted(&mesh), 0, "stopped");
}

#[test]
fn metrics_are_added_up_or_the_largest_counts() {
    let mut mesh = Mesh::of(2).with(scaled(1, 9));
    let metric = |aggregate| Metric { metric: "jobs".into(), path: "/m".into(), target: 10, aggregate };
    let of = |on: &str, milli| Demand { metric_milli: Some(milli), ..demand("billing", on, 0) };
    mesh.demand = vec![of("node-1", 1_200), of("node-2", 3_100)];
    for (aggregate, expected) in [(Aggregate::Sum, 5), (Aggregate::Max, 4)] {
        mesh.plans[0].1.scale.as_mut().unwrap().metric = Some(metric(aggregate));
        assert_eq!(wanted(&mesh), expected, "{aggregate:?}");
    }
    mesh.plans[0].1.scale.as_mut().unwrap().metric = None;
    assert_eq!(wanted(&mesh), 1, "a plan that asks for none hears none");
}

#[test]
fn no_turn_of_a_job_is_taken_back() {
    let mut mesh = Mesh::of(2).with(scaled(1, 5));
    mesh.plans[0].1.release.workload = Workload::Job;
    mesh.plans[0].1.scale.as_mut().unwrap().metric =
        Some(Metric { metric: "jobs".into(), path: "/m".into(), target: 10, aggregate: Aggregate::Max });
    mesh.demand = vec![Demand { metric_milli: Some(4_000), ..demand("billing", "node-1", 0) }];
    assert_eq!(wanted(&mesh), 4);
    let mut turn = endpoint("billing", "node-2", 2);
    turn.revision = mesh.plans[0].1.release.revision();
    mesh.endpoints = vec![turn.clone()];
    mesh.demand.clear();
    assert_eq!(wanted(&mesh), 3, "the third has begun");
    mesh.endpoints[0].state = ReplicaState::Draining;
    assert_eq!(wanted(&mesh), 1);
}

proptest! {
    /// Of whatever nodes say follows the same everywhere: within the bounds, and never less for more.
    #[test]
    fn more_demand_is_never_fewer_replicas(
        min in 0u32..6,
        more in 0u32..10,
        needs in prop::collection::vec(0u64..6_000, 0..6),
        which in 0usize..6,
        by in 0u64..5_000,
        turn in 0usize..6,
    ) {
        let mut mesh = Mesh::of(6).with(scaled(min, min + more));
        let of = |(on, need): (usize, &u64)| demand("billing", &format!("node-{}", on + 1), *need);
        mesh.demand = needs.iter().enumerate().map(of).collect();
        let before = wanted(&mesh);
        prop_assert!((min..=min + more).contains(&before));
        if !needs.is_empty() {
            mesh.demand.rotate_left(turn % needs.len());
            prop_assert_eq!(wanted(&mesh), before, "in whatever order it is known");
            mesh.demand[which % needs.len()].need_milli += by;
            prop_assert!(wanted(&mesh) >= before);
        }
    }
}
