//! Meshes whose apps follow demand: every edge asks for its part, and all decide the same.

use std::collections::BTreeSet;

use cortex::{Around, Counts, Load};
use fabric::{Kind, RecordName};
use genome::{Demand, Plan, Scale};
use types::{AppName, Digest, Namespace};

use super::*;

/// So many requests a second one replica answers; more wait.
const CAPACITY: f64 = 50.0;
const LOOK: Duration = Duration::from_millis(250);

/// The requests of one app: they come to every edge alike, and go to whatever is ready.
struct Crowd {
    app: AppName,
    plan: Plan,
    edges: Vec<(Load, Counts, f64)>,
    backlog: f64,
    published: usize,
    /// Which numbers the first node wanted, each time it was another.
    wanted: Vec<u32>,
}

impl Crowd {
    fn new(world: &mut World, (min, max): (u32, u32)) -> Self {
        let mut plan = Plan::new(records::app(1), records::release(Digest::of(b"spore")), 1);
        let scale = Scale { p99_budget_ms: Some(200), idle_ms: 20_000, settle_ms: 15_000, metric: None };
        (plan.min, plan.max, plan.scale) = (min, max, Some(scale.clone()));
        let record = records::next_plan(&world.nodes[0].running.as_ref().unwrap().core, 1, plan.clone());
        assert!(world.publish(0, &record));
        let load = || (Load::new(&scale, min == 0, world.now), Counts::default(), 0.0);
        let edges = world.nodes.iter().map(|_| load()).collect();
        Self { app: records::app(1), plan, edges, backlog: 0.0, published: 0, wanted: Vec::new() }
    }

    fn wanted(world: &World, node: usize, app: &AppName) -> u32 {
        let mind = world.nodes[node].running.as_ref().unwrap().mind.as_ref().unwrap();
        mind.decision.apps.get(app).map_or(0, |decided| decided.wanted)
    }

    /// Lets time pass in which so many requests a second come to the whole mesh.
    fn run(&mut self, world: &mut World, rate: f64, time: Duration) {
        let end = world.now + time;
        while world.now < end {
            world.run(LOOK).unwrap();
            self.look(world, rate);
            let wanted = Self::wanted(world, 0, &self.app);
            if self.wanted.last() != Some(&wanted) {
                self.wanted.push(wanted);
            }
        }
    }

    fn look(&mut self, world: &mut World, rate: f64) {
        let view = world.nodes[0].running.as_ref().unwrap().core.view(&Namespace::default());
        let ready = view.endpoints_of(&self.app).filter(|endpoint| endpoint.is_ready()).count() as u32;
        let (came, could) = (rate * LOOK.as_secs_f64(), f64::from(ready) * CAPACITY * LOOK.as_secs_f64());
        let done = (self.backlog + came).min(could);
        let slow = self.backlog > f64::from(ready) * CAPACITY * 0.2;
        self.backlog += came - done;
        let parts = self.edges.len() as f64;
        for node in 0..self.edges.len() {
            let view = world.nodes[node].running.as_ref().unwrap().core.view(&Namespace::default());
            let me = crate::keys::node_name(node);
            let others: Vec<_> =
                view.demand_of(&self.app).filter(|said| said.node_id != me).cloned().collect();
            let around = Around {
                ready,
                wanted: Self::wanted(world, node, &self.app),
                floor: self.plan.min.max(1),
                others_milli: others.iter().map(|said| said.rate_milli).sum(),
                pace_milli: others.iter().map(|s| s.pace_milli).filter(|pace| *pace > 0).min().unwrap_or(0),
                hosts: view.endpoints_of(&self.app).any(|endpoint| endpoint.node_id == me),
                ..Around::default()
            };
            let (load, counts, rest) = &mut self.edges[node];
            // Fractions of requests are carried over.
            *rest += came / parts;
            let whole = rest.floor();
            *rest -= whole;
            counts.started += whole as u64;
            counts.open = (self.backlog / parts) as u64;
            let ended = (counts.started - counts.open.min(counts.started)).max(counts.ended);
            counts.slow += if slow { ended - counts.ended } else { 0 };
            (counts.ended, counts.late) = (ended, counts.slow);
            let said = if counts.open > 0 && ready == 0 { load.wake(world.now) } else { None };
            let Some(figure) = said.or_else(|| load.note(world.now, *counts, &around)) else { continue };
            self.published += 1;
            let demand = Demand {
                node_id: me.clone(),
                app_name: self.app.clone(),
                revision: self.plan.release.revision(),
                need_milli: figure.need_milli,
                metric_milli: figure.metric_milli,
                rate_milli: figure.rate_milli,
                pace_milli: figure.pace_milli,
                in_flight: figure.in_flight,
                p99_ms: figure.p99_ms,
                slow_permille: figure.slow_permille,
            };
            let name = RecordName::of_observed(&self.app, &me);
            world.say(node, Kind::Demand, name, Some(records::json(&demand)));
        }
    }
}

fn working(nodes: usize, seed: u64) -> World {
    let weather = Weather::lan(0.01);
    let mut world = World::new(WorldConfig { nodes, seed, weather, watched: false, working: true });
    for node in 0..nodes {
        world.start(node, &[(node + 1) % nodes, 0]);
    }
    world.run(30 * SECOND).unwrap();
    world
}

/// Ten times the load, over all edges of a mesh; every node wants the same, nothing swings, and a seed replays it.
#[test]
fn all_edges_of_a_mesh_ask_for_their_parts_and_all_nodes_decide_the_same() {
    let run = |nodes: usize, seed: u64| {
        let mut world = working(nodes, seed);
        let mut crowd = Crowd::new(&mut world, (1, 60));
        crowd.run(&mut world, 40.0, 20 * SECOND);
        assert_eq!(crowd.wanted.last(), Some(&1), "{:?}", crowd.wanted);
        crowd.run(&mut world, 400.0, 60 * SECOND);
        let (wanted, backlog) = (crowd.wanted.clone(), crowd.backlog);
        assert!(backlog < 1.0, "what waited is served: {backlog}, {wanted:?}");
        crowd.run(&mut world, 400.0, 120 * SECOND);
        let rises = crowd.wanted.windows(2).filter(|pair| pair[1] > pair[0]).count();
        let turns = crowd.wanted.windows(3).filter(|w| (w[0] < w[1]) != (w[1] < w[2])).count();
        assert!(turns <= 2 && rises <= 12, "{:?}", crowd.wanted);
        world.run(2 * SECOND).unwrap();
        let all: BTreeSet<u32> = (0..nodes).map(|node| Crowd::wanted(&world, node, &crowd.app)).collect();
        assert!(all.len() == 1 && (8..=40).contains(all.first().unwrap()), "{all:?}");
        assert!(crowd.published <= nodes * 20, "{} records of {nodes} edges", crowd.published);
        world.trace()
    };
    assert_eq!(run(12, 7), run(12, 7));
    run(60, 3);
}

/// Nobody asks, and it sleeps; somebody does at any edge, and it is there at once; all nodes see both.
#[test]
fn an_app_sleeps_in_the_whole_mesh_and_wakes_by_any_edge() {
    let mut world = working(8, 5);
    let mut crowd = Crowd::new(&mut world, (0, 10));
    crowd.run(&mut world, 0.0, 10 * SECOND);
    assert_eq!(crowd.wanted, [1], "it shows that it comes up");
    crowd.run(&mut world, 0.0, 30 * SECOND);
    assert_eq!(crowd.wanted, [1, 0]);
    for edge in [1, 6] {
        let figure = crowd.edges[edge].0.wake(world.now).expect("it sleeps");
        let me = crate::keys::node_name(edge);
        let demand = serde_json::json!({
            "nodeID": me, "appName": crowd.app, "revision": crowd.plan.release.revision(), "need_milli": figure.need_milli,
        });
        let name = RecordName::of_observed(&crowd.app, &me);
        world.say(edge, Kind::Demand, name, Some(records::json(&demand)));
        world.run(2 * SECOND).unwrap();
        let all: BTreeSet<u32> = (0..8).map(|node| Crowd::wanted(&world, node, &crowd.app)).collect();
        assert_eq!(all, [1].into(), "edge {edge} woke it for all");
        crowd.run(&mut world, 0.0, 60 * SECOND);
        assert_eq!(crowd.wanted.last(), Some(&0), "{:?}", crowd.wanted);
    }
}
