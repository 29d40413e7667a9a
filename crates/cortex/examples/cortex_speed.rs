//! How long a decision takes: `cargo run --release -p cortex --example cortex_speed [NODES APPS REPLICAS]`.
//!
//! Printed: the first decision of an empty mesh, the same again with everything running, and after the loss
//! of one node. Medians of five.

#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::time::{Duration, Instant};

use cortex::{Decision, Planned, World, decide, verdicts};
use genome::{Endpoint, Node, Plan};
use serde_json::json;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [nodes, apps, replicas] = numbers[..] else { return measure(1000, 200, 5) };
    measure(nodes, apps, replicas);
}

fn measure(nodes: usize, apps: usize, replicas: usize) {
    let per_node = 100 * (replicas * apps).div_ceil(nodes).max(10) * 2;
    let node = |n: usize| {
        let capacity = json!({ "cpu_milli": per_node, "memory_mb": per_node });
        let node = json!({ "nodeID": format!("node-{n}"), "capacity": capacity });
        serde_json::from_value::<Node>(node).expect("a node")
    };
    let plan = |n: usize| {
        let each = json!({ "cpu_milli": 100, "memory_mb": 100 });
        let plan = json!({
            "appName": format!("app-{n}"), "digest": "0".repeat(64), "nutrients": each, "min": replicas, "max": replicas,
        });
        serde_json::from_value::<Plan>(plan).expect("a plan")
    };
    let nodes: Vec<Node> = (0..nodes).map(node).collect();
    let plans: Vec<Plan> = (0..apps).map(plan).collect();
    let mut world = World {
        plans: plans.iter().map(|plan| Planned { generation: 1, plan }).collect(),
        nodes: nodes.iter().collect(),
        ..World::default()
    };
    println!("{} nodes, {apps} apps of {replicas} replicas", nodes.len());
    let (first, empty) = timed(|| decide(&world));
    let endpoints = running(&first);
    world.endpoints = endpoints.iter().collect();
    let (again, steady) = timed(|| decide(&world));
    assert_eq!(first, again, "nothing moves");
    let gone = world.nodes.remove(nodes.len() / 2);
    let (after, loss) = timed(|| decide(&world));
    let app = &plans[0].app_name;
    let (_, why) = timed(|| verdicts(&world, &after, app));
    println!("first decision      {empty:>10.1?}");
    println!("everything running  {steady:>10.1?}");
    println!("after a loss of {:>2}  {loss:>10.1?}", first.of_node(&gone.node_id).len());
    println!("verdicts of one app {why:>10.1?}");
}

fn running(decision: &Decision) -> Vec<Endpoint> {
    let of_app = |(app, decided): (&types::AppName, &cortex::AppDecision)| {
        let endpoint = |(slot, node): (&u32, &types::NodeName)| {
            let endpoint = json!({
                "appName": app, "nodeID": node, "replica": format!("{app}-{slot}"), "slot": slot,
                "digest": decided.release.digest, "revision": decided.revision, "state": "ready",
                "since": "2026-01-01T00:00:00Z",
            });
            serde_json::from_value(endpoint).expect("an endpoint")
        };
        decided.slots.iter().map(endpoint).collect::<Vec<Endpoint>>()
    };
    decision.apps.iter().flat_map(of_app).collect()
}

fn timed<T>(work: impl Fn() -> T) -> (T, Duration) {
    let mut times = [Duration::ZERO; 5];
    for time in &mut times {
        let start = Instant::now();
        std::hint::black_box(work());
        *time = start.elapsed();
    }
    times.sort();
    (work(), times[2])
}
