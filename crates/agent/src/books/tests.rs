//! The books of several nodes, with records that say what each wrote.

use fabric::{Authority, Fabric, Kind, Record, RecordName};
use genome::{Endpoint, Plan, Pressure, Release, ReplicaState};
use membrane::Usage;
use soul::SecretKey;
use types::{Digest, MeshId, Nutrients, ReplicaName, Signer as _, Timestamp, Workload};

use super::*;

const SECOND: u64 = 1_000_000;

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn app(text: &str) -> AppName {
    AppName::new(text).unwrap()
}

fn release() -> Release {
    Release {
        digest: Digest::of(b"spore"),
        version: "v1".into(),
        workload: Workload::Service,
        nutrients: Nutrients::default(),
        port: 0,
        env: BTreeMap::new(),
        restart: 0,
        profile: None,
        reach: Vec::new(),
        settings: genome::Settings::default(),
    }
}

/// What all nodes know.
struct Mesh {
    fabric: Fabric,
    operator: SecretKey,
    key: SecretKey,
}

impl Mesh {
    fn of(apps: &[&str]) -> Self {
        let (operator, key) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let authority = Authority {
            operators: [operator.public_key()].into(),
            nodes: ["node-1", "node-2"].map(|node| (name(node), key.public_key())).into(),
            roots: None,
        };
        let config = fabric::Config { mesh: MeshId::from_bytes([5; 32]), authority, journal: None };
        let (fabric, _) = Fabric::new(config, [], Timestamp::from_secs(1)).unwrap();
        for of in apps {
            let plan = Plan::new(app(of), release(), 1);
            let record = Record::plan(fabric.mesh(), 1, &plan, &operator).unwrap();
            fabric.publish_plan(record, Timestamp::from_secs(1)).unwrap();
        }
        Self { fabric, operator, key }
    }

    fn has_ready(&self, of: &str, node: &str) {
        let endpoint = Endpoint {
            app_name: app(of),
            url: "http://127.0.0.1:1".into(),
            node_id: name(node),
            replica: ReplicaName::of(&app(of), "bbbbb").unwrap(),
            slot: 0,
            digest: release().digest,
            version: "v1".into(),
            revision: release().revision(),
            state: ReplicaState::Ready,
            warm: false,
            provides: Vec::new(),
            restarts: 0,
            pid: None,
            exit: None,
            message: String::new(),
            since: Timestamp::from_secs(1),
        };
        self.fabric.register_endpoint(&endpoint, &self.key, Timestamp::from_secs(1)).unwrap();
    }

    fn forget(&self, of: &str) {
        let (at, name) = (Timestamp::from_secs(1), RecordName::of_app(&app(of)));
        let removal = Record::remove(self.fabric.mesh(), Kind::Plan, name, 2, at, &self.operator);
        self.fabric.submit(removal.unwrap(), at).unwrap();
    }
}

/// One node, its books, and what its replicas have used so far.
struct Rig {
    node: Node,
    books: Books,
    before: Samples,
    seconds: u64,
    replicas: Vec<Sample>,
}

impl Rig {
    fn new(node: &str, capacity: u64) -> Self {
        let node = Node {
            node_id: name(node),
            host: String::new(),
            capacity: Nutrients { cpu_milli: capacity, memory_mb: 1000 },
            labels: BTreeMap::new(),
            addresses: Vec::new(),
            version: String::new(),
            pressure: Pressure::None,
        };
        let books = Books::new(Rules::default());
        Self { node, books, before: Samples::default(), seconds: 0, replicas: Vec::new() }
    }

    fn runs(&mut self, of: &str, tag: &str, milli: u64) {
        let replica: ReplicaName = ReplicaName::of(&app(of), tag).unwrap();
        self.replicas.push(Sample {
            launch: LaunchId { replica, attempt: 1 },
            app: app(of),
            digest: Digest::of(b"spore"),
            revision: release().revision(),
            workload: Workload::Service,
            nutrients: Nutrients { cpu_milli: milli, memory_mb: 64 },
            pid: 1,
            ready: true,
            ready_at: None,
            limits: Limits {
                cpu_milli: u32::try_from(milli).unwrap(),
                memory: 64 << 20,
                ..Limits::default()
            },
            usage: Usage { cpu_usec: Some(7 * SECOND), ..Usage::default() },
            cpu_milli: None,
            io_rate: None,
        });
        self.replicas.sort_by(|one, other| one.launch.cmp(&other.launch));
    }

    /// A second in which each replica uses so many thousandths of a CPU; all that is written is safe at once, and all
    /// weights are told.
    fn second(&mut self, mesh: &Mesh, uses: impl Fn(&AppName) -> u64) {
        self.after(1, mesh, uses);
    }

    fn after(&mut self, seconds: u64, mesh: &Mesh, uses: impl Fn(&AppName) -> u64) {
        self.seconds += seconds;
        for sample in &mut self.replicas {
            *sample.usage.cpu_usec.as_mut().unwrap() += uses(&sample.app) * 1000 * seconds;
        }
        let mut now = Samples {
            at: Some(Timestamp::from_secs(1000 + self.seconds)),
            mono: Duration::from_secs(self.seconds),
            replicas: self.replicas.clone(),
            apps: BTreeMap::new(),
        };
        now.compare(&self.before);
        let (view, at) = (mesh.fabric.view(), Timestamp::from_secs(1000 + self.seconds));
        for deed in self.books.tick(&self.node, &view, &self.before, &mut now) {
            match deed {
                Deed::Write(row) => {
                    mesh.fabric.say_of(&row, &mesh.key, at).unwrap();
                    self.books.settle(&row.app_name, true);
                }
                Deed::Remove(app) => {
                    mesh.fabric.unsay_of::<Credit>(&app, &self.node.node_id, &mesh.key, at).unwrap();
                }
                Deed::Weigh(id, limits) => {
                    let told = self.replicas.iter_mut().find(|sample| sample.launch == id).unwrap();
                    let rest = |limits| Limits { cpu_milli: 0, first: false, ..limits };
                    assert_eq!(rest(told.limits), rest(limits));
                    told.limits = limits;
                }
            }
        }
        self.before = now;
    }

    fn stands(&self, of: &str) -> Standing {
        self.before.apps[&app(of)]
    }

    fn weights(&self) -> Vec<u32> {
        self.replicas.iter().map(|sample| sample.limits.cpu_milli).collect()
    }
}

#[test]
fn under_contention_those_who_saved_get_what_is_free() {
    let mesh = Mesh::of(&["saver", "spender"]);
    let mut rig = Rig::new("node-1", 4000);
    rig.runs("saver", "aaaaa", 250);
    rig.runs("saver", "bbbbb", 250);
    rig.runs("spender", "ccccc", 1500);
    (0..300).for_each(|_| rig.second(&mesh, |of| if of.as_str() == "saver" { 0 } else { 2000 }));
    assert_eq!((rig.stands("saver").credits, rig.stands("spender").credits), (150 * SECOND - SECOND / 2, 0));
    assert_eq!(rig.weights(), [250, 250, 1500]);
    (0..2).for_each(|_| rig.second(&mesh, |_| 2000));
    assert_eq!(rig.weights(), [1250, 1250, 1500], "two CPUs are free, and one app has saved for them");
    (0..60).for_each(|_| rig.second(&mesh, |_| 2000));
    assert_eq!(rig.stands("saver").credits, 0);
    assert_eq!(rig.weights(), [250, 250, 1500]);
}

#[test]
fn what_is_read_after_a_pause_is_no_saving() {
    let mesh = Mesh::of(&["late"]);
    let mut rig = Rig::new("node-1", 4000);
    rig.second(&mesh, |_| 0);
    rig.runs("late", "aaaaa", 1000);
    rig.after(3600, &mesh, |_| 0);
    assert_eq!(rig.stands("late").credits, 0);
    rig.second(&mesh, |_| 0);
    assert_eq!(rig.stands("late").credits, SECOND);
}

#[test]
fn what_is_left_follows_the_replicas_and_goes_with_the_app() {
    let mesh = Mesh::of(&["mover"]);
    let (mut one, mut two) = (Rig::new("node-1", 4000), Rig::new("node-2", 4000));
    one.runs("mover", "aaaaa", 1000);
    (0..100).for_each(|_| one.second(&mesh, |_| 0));
    let saved = one.stands("mover").credits;
    assert_eq!(saved, 99 * SECOND);
    one.replicas.clear();
    two.runs("mover", "bbbbb", 1000);
    mesh.has_ready("mover", "node-2");
    for _ in 0..200 {
        one.second(&mesh, |_| 0);
        two.second(&mesh, |_| 1000);
        two.second(&mesh, |_| 1000);
    }
    assert_eq!(two.stands("mover").credits, saved, "all of it, once");
    assert!(!one.books.is_busy(), "nothing is left to do");
    mesh.forget("mover");
    two.replicas.clear();
    one.second(&mesh, |_| 0);
    two.second(&mesh, |_| 0);
    assert!(mesh.fabric.view().credits.is_empty(), "{:?}", mesh.fabric.view().credits);
    assert!(one.books.open.is_empty() && two.books.open.is_empty());
}

#[test]
fn who_uses_its_own_goes_first_no_more_until_it_rests() {
    let mesh = Mesh::of(&["server", "batch"]);
    let mut rig = Rig::new("node-1", 4000);
    rig.runs("server", "aaaaa", 1000);
    rig.runs("batch", "bbbbb", 1000);
    let first = |rig: &Rig| -> [bool; 2] {
        let of = |name| rig.replicas.iter().find(|sample| sample.app == app(name)).unwrap().limits.first;
        [of("server"), of("batch")]
    };
    (0..3).for_each(|_| rig.second(&mesh, |of| if of.as_str() == "batch" { 900 } else { 50 }));
    assert_eq!(first(&rig), [true, false]);
    rig.second(&mesh, |of| if of.as_str() == "batch" { 300 } else { 400 });
    assert_eq!(first(&rig), [true, false], "neither has changed enough");
    rig.second(&mesh, |of| if of.as_str() == "batch" { 100 } else { 700 });
    assert_eq!(first(&rig), [false, true]);
}
