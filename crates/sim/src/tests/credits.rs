//! Credits in a mesh whose nodes lose messages and power: they follow the replicas, and there are never more than were
//! earned.

use agent::{Books, Deed, LaunchId, Sample, Samples};
use fabric::{Kind, RecordName};
use genome::Plan;
use membrane::{Limits, Usage};
use nutrients::Rules;
use types::{AppName, Digest, Namespace, Nutrients, Workload};

use super::*;

const RULES: Rules = Rules { span: 60_000_000, every: 6_000_000, least: 1_000_000 };
const MILLI: u64 = 400;
/// What the baseline of one replica comes to in a second.
const DUE: u64 = MILLI * 1000;

/// One node's books, and what it has read.
struct Ledger {
    books: Books,
    before: Samples,
    /// Something was written that is on disk a second later.
    unsafe_yet: bool,
}

struct Economy {
    app: AppName,
    ledgers: Vec<Ledger>,
    /// What each replica uses in a second.
    use_each: u64,
    used: u64,
    earned: u64,
    gifts: usize,
}

impl Ledger {
    fn new() -> Self {
        Self { books: Books::new(RULES), before: Samples::default(), unsafe_yet: false }
    }
}

impl Economy {
    fn new(world: &mut World) -> Self {
        let mut plan = Plan::new(records::app(1), records::release(Digest::of(b"spore")), 2);
        plan.release.nutrients = Nutrients { cpu_milli: MILLI, memory_mb: 1 };
        let record = records::next_plan(&world.nodes[0].running.as_ref().unwrap().core, 1, plan);
        assert!(world.publish(0, &record));
        let ledgers = world.nodes.iter().map(|_| Ledger::new()).collect();
        Self { app: records::app(1), ledgers, use_each: 0, used: 0, earned: 0, gifts: 0 }
    }

    fn run(&mut self, world: &mut World, seconds: usize) {
        for _ in 0..seconds {
            world.run(SECOND).unwrap();
            self.used += self.use_each;
            for node in 0..self.ledgers.len() {
                if world.nodes[node].running.is_some() {
                    self.tick(world, node);
                }
            }
            let left = self.left();
            assert!(left <= self.earned, "{left} are left of {}", self.earned);
        }
    }

    fn left(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.books.credits(&self.app)).sum()
    }

    fn tick(&mut self, world: &mut World, node: usize) {
        let ledger = &mut self.ledgers[node];
        if std::mem::take(&mut ledger.unsafe_yet) {
            world.nodes[node].disk.sync();
            ledger.books.settle(&self.app, true);
        }
        let view = world.nodes[node].running.as_ref().unwrap().core.view(&Namespace::default());
        let me = crate::keys::node_name(node);
        let Some(described) = view.nodes.get(&me) else { return };
        let own =
            view.endpoints_of(&self.app).filter(|endpoint| endpoint.node_id == me && endpoint.is_ready());
        let replicas = own.map(|endpoint| Sample {
            launch: LaunchId { replica: endpoint.replica.clone(), attempt: 1 },
            app: self.app.clone(),
            digest: endpoint.digest,
            revision: endpoint.revision.clone(),
            workload: Workload::Service,
            nutrients: Nutrients { cpu_milli: MILLI, memory_mb: 1 },
            pid: 1,
            ready: true,
            ready_at: None,
            limits: Limits { cpu_milli: 400, ..Limits::default() },
            usage: Usage { cpu_usec: Some(self.used), ..Usage::default() },
            cpu_milli: None,
            io_rate: None,
        });
        let wall = world.nodes[node].wall(world.now);
        let mut now =
            Samples { at: Some(wall), mono: world.now, replicas: replicas.collect(), ..Samples::default() };
        let deeds = ledger.books.tick(described, &view, &ledger.before, &mut now);
        self.earned += now.replicas.len() as u64 * DUE.saturating_sub(self.use_each);
        ledger.before = now;
        for deed in deeds {
            match deed {
                Deed::Write(row) => {
                    self.gifts += usize::from(!row.taken.is_empty());
                    ledger.unsafe_yet = true;
                    let name = RecordName::of_observed(&row.app_name, &row.node_id);
                    world.say(node, Kind::Credit, name, Some(records::json(&row)));
                }
                Deed::Remove(app) => panic!("{app} is planned"),
                Deed::Weigh(..) => {}
            }
        }
    }

    /// The power of a node fails, and it is back some time later.
    fn blink(&mut self, world: &mut World, node: usize) {
        let nodes = self.ledgers.len();
        world.crash(node);
        self.ledgers[node] = Ledger::new();
        self.run(world, 25);
        world.start(node, &[(node + 1) % nodes]);
    }
}

#[test]
fn credits_follow_replicas_through_crashes_and_none_is_made() {
    for seed in 0..6 {
        let weather = Weather::lan(0.02);
        let nodes = 5;
        let mut world = World::new(WorldConfig { nodes, seed, weather, watched: false, working: true });
        for node in 0..nodes {
            world.start(node, &[(node + 1) % nodes, 0]);
        }
        world.run(30 * SECOND).unwrap();
        let mut economy = Economy::new(&mut world);
        economy.run(&mut world, 60);
        assert!(economy.left() > 20 * DUE, "{} are left", economy.left());
        // From now on nothing is earned and nothing paid.
        economy.use_each = DUE;
        let earned = economy.earned;
        for _ in 0..8 {
            let node = world.rng.random_range(0..nodes);
            economy.blink(&mut world, node);
            economy.run(&mut world, 20);
        }
        assert_eq!(economy.earned, earned);
        assert!(economy.gifts > 0, "nothing was passed on");
    }
}
