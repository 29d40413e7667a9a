//! What a large mesh costs its planner: `cargo run --release -p cortex --example size [NODES APPS REPLICAS ZONES]`.
//!
//! Every node decides for the whole mesh, so the time to know its own share is the time of a decision: from
//! nothing, with everything running, after the loss of a node, when one joins, and while a tenth of them is drained.
//! Then what moves when a node joins, and how much more the fullest node has than the mean.

#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cortex::{Decision, Planned, World, decide};
use genome::{Endpoint, Node, Plan};
use serde_json::json;
use types::{AppName, NodeName};

/// So many times what a decision needs fits on each node.
const SPARE: usize = 3;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    if let [nodes, apps, replicas, zones] = numbers[..] {
        return measure(nodes, apps, replicas, zones);
    }
    for (apps, replicas, zones) in [(10_000, 10, 0), (10_000, 10, 3), (1_000, 100, 30), (10, 10_000, 3)] {
        measure(10_000, apps, replicas, zones);
    }
}

fn measure(count: usize, apps: usize, replicas: usize, zones: usize) {
    let room = 100 * (replicas * apps).div_ceil(count) * SPARE;
    let nodes: Vec<Node> = (0..=count).map(|n| node(n, room, zones)).collect();
    let plans: Vec<Plan> = (0..apps).map(|n| plan(n, replicas)).collect();
    let mut world = World {
        plans: plans.iter().map(|plan| Planned { generation: 1, plan }).collect(),
        nodes: nodes[..count].iter().collect(),
        ..World::default()
    };
    println!("{count} nodes in {zones} zones, {apps} apps of {replicas} replicas");
    let (first, empty) = timed(&world);
    say("a node knows its share, from nothing", empty);
    let endpoints = running(&first);
    world.endpoints = endpoints.iter().collect();
    let (again, steady) = timed(&world);
    assert!(first == again, "nothing moves when nothing has changed");
    say("with everything running", steady);
    let gone = world.nodes.remove(count / 2);
    let (after, loss) = timed(&world);
    say(&format!("after the loss of a node with {}", first.of_node(&gone.node_id).len()), loss);
    figure("  replicas that move", moves(&first, &after));
    world.nodes.push(gone);
    world.nodes.push(&nodes[count]);
    let (joined, join) = timed(&world);
    say("when a node joins", join);
    let fair = (replicas * apps) as f64 / (count + 1) as f64;
    let moved = moves(&first, &joined);
    figure("  replicas that move", moved);
    figure("  of its fair share", format!("{:.2}", moved as f64 / fair));
    world.nodes.pop();
    world.drained = nodes[..count / 10].iter().map(|node| &node.node_id).collect();
    let (drained, drain) = timed(&world);
    say("while a tenth is drained", drain);
    figure("  replicas that move", moves(&first, &drained));
    figure("load of the fullest node, of the mean", format!("{:.2}", unevenness(&first, count)));
}

fn node(n: usize, room: usize, zones: usize) -> Node {
    let capacity = json!({ "cpu_milli": room, "memory_mb": room });
    let labels = if zones == 0 { json!({}) } else { json!({ "zone": format!("zone-{}", n % zones) }) };
    let node = json!({ "nodeID": format!("node-{n}"), "capacity": capacity, "labels": labels });
    serde_json::from_value(node).expect("a node")
}

fn plan(n: usize, replicas: usize) -> Plan {
    let each = json!({ "cpu_milli": 100, "memory_mb": 100 });
    let plan = json!({
        "appName": format!("app-{n}"), "digest": "0".repeat(64), "nutrients": each, "min": replicas, "max": replicas,
    });
    serde_json::from_value(plan).expect("a plan")
}

/// Every replica as it is once the decision was carried out.
fn running(decision: &Decision) -> Vec<Endpoint> {
    let of_app = |(app, decided): (&AppName, &cortex::AppDecision)| {
        let endpoint = |(slot, node): (&u32, &NodeName)| {
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

/// How many slots are filled by another node than before.
fn moves(before: &Decision, after: &Decision) -> usize {
    let of_app = |(app, decided): (&AppName, &cortex::AppDecision)| {
        let later = &after.apps[app].slots;
        decided.slots.iter().filter(|(slot, on)| later.get(slot) != Some(on)).count()
    };
    before.apps.iter().map(of_app).sum()
}

/// How much the fullest node has, of what they have on average.
fn unevenness(decision: &Decision, nodes: usize) -> f64 {
    let mut held: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for node in decision.apps.values().flat_map(|app| app.slots.values()) {
        *held.entry(node).or_default() += 1;
    }
    let (most, all) = (held.values().max().copied().unwrap_or(0), held.values().sum::<usize>());
    most as f64 * nodes as f64 / all as f64
}

/// The decision and the share of one node in it; the median time of five.
fn timed(world: &World) -> (Decision, Duration) {
    let mut times = [Duration::ZERO; 5];
    let mut last = Decision::default();
    for time in &mut times {
        let start = Instant::now();
        last = decide(world);
        let share = world.nodes.first().map(|node| last.of_node(&node.node_id).len());
        *time = start.elapsed();
        std::hint::black_box(share);
    }
    times.sort();
    (last, times[2])
}

fn say(what: &str, took: Duration) {
    figure(what, format!("{:.0} ms", took.as_secs_f64() * 1000.0));
}

fn figure(what: &str, value: impl std::fmt::Display) {
    println!("  {what:<44} {value:>10}");
}
