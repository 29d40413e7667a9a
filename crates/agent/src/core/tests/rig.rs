//! A core with a clock that is turned by hand and a record of what it asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use genome::{Endpoint, Exit, Release, ReplicaState};
use telemetry::EventKind;
use types::{AppName, Digest, NodeName, Nutrients, ReplicaName, Timestamp, Workload};

use crate::core::*;

pub const WARMUP: Duration = Duration::from_secs(2);
pub const GRACE: Duration = Duration::from_secs(10);

pub struct Rig {
    pub core: Core,
    pub now: Duration,
    pub asked: Vec<Action>,
    pub records: BTreeMap<ReplicaName, Endpoint>,
    pub writes: usize,
    pub observed: Vec<Observing>,
    pub events: Vec<EventKind>,
    generation: u64,
    next_pid: u32,
}

pub fn app() -> AppName {
    AppName::new("billing").unwrap()
}

pub fn release(letter: &str) -> Release {
    Release {
        digest: Digest::of(letter.as_bytes()),
        version: letter.into(),
        workload: Workload::Service,
        nutrients: Nutrients::default(),
        port: 0,
        env: BTreeMap::new(),
        restart: 0,
        profile: None,
        reach: Vec::new(),
        settings: Default::default(),
    }
}

pub fn now(mono: Duration) -> Now {
    Now { mono, wall: Timestamp::from_secs(1_000_000) + mono }
}

pub fn facts() -> Facts {
    Facts {
        unconfined: false,
        version: "v1".into(),
        provides: vec!["http".into()],
        check: Some(Check::Http("/health".into())),
        health: Duration::from_secs(6),
        settings: Default::default(),
    }
}

impl Rig {
    pub fn new() -> Self {
        let mut rig = Self::unadopted();
        rig.tell(Input::Adopt(Box::default()));
        rig
    }

    pub fn unadopted() -> Self {
        Self {
            core: Core::new(NodeName::new("node-1").unwrap(), Timing::default(), 7, now(Duration::ZERO)),
            now: Duration::ZERO,
            asked: Vec::new(),
            records: BTreeMap::new(),
            writes: 0,
            observed: Vec::new(),
            events: Vec::new(),
            generation: 0,
            next_pid: 100,
        }
    }

    /// Gives one input; records, observations and events are kept apart, the rest stands in `asked`.
    pub fn tell(&mut self, input: Input) {
        self.handle(input);
    }

    /// [`Rig::tell`]; all that was asked for, in its order.
    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        let actions = self.core.handle(input, now(self.now));
        for action in actions.clone() {
            match action {
                Action::Register(record) => {
                    self.writes += 1;
                    self.records.insert(record.replica.clone(), *record);
                }
                Action::Unregister(_, name) => drop(self.records.remove(&name)),
                Action::Observe(_, observing) => self.observed.push(observing),
                Action::Emit(draft) => self.events.push(draft.kind),
                action => self.asked.push(action),
            }
        }
        actions
    }

    /// Wants `slots` slots of `release`, by a new generation of the plan.
    pub fn want(&mut self, release: &Release, slots: u32) {
        self.generation += 1;
        self.want_as(release, slots, None);
    }

    /// Wants one slot of `release`, which others wait for.
    pub fn watch(&mut self, release: &Release) {
        self.generation += 1;
        self.want_in(release, 1, None, true);
    }

    pub fn want_as(&mut self, release: &Release, slots: u32, fallback: Option<&str>) {
        self.want_in(release, slots, fallback, false);
    }

    fn want_in(&mut self, release: &Release, slots: u32, fallback: Option<&str>, watched: bool) {
        let assignments = (0..slots)
            .map(|slot| Assignment {
                app: app(),
                slot,
                release: release.clone(),
                revision: release.revision(),
                each: release.nutrients,
                generation: self.generation,
                watched,
                warmup: WARMUP,
                grace: GRACE,
            })
            .collect();
        let note = PlanNote {
            generation: self.generation,
            summary: "plan".into(),
            waiting: None,
            fallback: fallback.map(Into::into),
        };
        self.tell(Input::World(World {
            assignments,
            plans: BTreeMap::from([(app(), note)]),
            ..World::default()
        }));
    }

    pub fn want_nothing(&mut self) {
        self.tell(Input::World(World::default()));
    }

    /// Turns the clock, stopping at each deadline in between.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.tell(Input::Tick);
        }
        self.now = end;
        self.tell(Input::Tick);
    }

    /// Takes the only action that `pick` knows.
    pub fn take<T>(&mut self, pick: impl Fn(&Action) -> Option<T>) -> T {
        let found: Vec<usize> =
            (0..self.asked.len()).filter(|index| pick(&self.asked[*index]).is_some()).collect();
        assert_eq!(found.len(), 1, "of {:#?}", self.asked);
        pick(&self.asked.remove(found[0])).unwrap()
    }

    pub fn took_prepare(&mut self) -> LaunchId {
        self.take(|action| match action {
            Action::Prepare(id, _) => Some(id.clone()),
            _ => None,
        })
    }

    pub fn took_spawn(&mut self) -> Launch {
        self.take(|action| match action {
            Action::Spawn(launch, _) => Some((**launch).clone()),
            _ => None,
        })
    }

    pub fn took_stop(&mut self) -> LaunchId {
        self.take(|action| match action {
            Action::Stop(id, _) => Some(id.clone()),
            _ => None,
        })
    }

    pub fn took_kill(&mut self) -> LaunchId {
        self.take(|action| match action {
            Action::Kill(id) => Some(id.clone()),
            _ => None,
        })
    }

    pub fn took_clean(&mut self) -> LaunchId {
        self.take(|action| match action {
            Action::Clean(id) => Some(id.clone()),
            _ => None,
        })
    }

    pub fn took_drain(&mut self) -> (ReplicaName, u32) {
        self.take(|action| match action {
            Action::Drain(_, replica, drain) => Some((replica.clone(), *drain)),
            _ => None,
        })
    }

    pub fn took_probe(&mut self) -> (LaunchId, Probe) {
        self.take(|action| match action {
            Action::Probe(launch, _, probe) => Some((launch.id.clone(), *probe)),
            _ => None,
        })
    }

    pub fn asks_nothing(&self) {
        assert!(self.asked.is_empty(), "{:#?}", self.asked);
    }

    /// Prepares and spawns the one launch that was asked for.
    pub fn spawn(&mut self) -> LaunchId {
        self.spawn_with(facts())
    }

    pub fn spawn_with(&mut self, facts: Facts) -> LaunchId {
        let id = self.took_prepare();
        self.tell(Input::Prepared(id.clone(), facts));
        self.spawn_prepared()
    }

    pub fn spawn_prepared(&mut self) -> LaunchId {
        let id = self.took_spawn().id;
        self.next_pid += 1;
        let port = 20_000 + u16::try_from(self.next_pid).unwrap();
        self.tell(Input::Spawned { id: id.clone(), pid: self.next_pid, port });
        id
    }

    /// Brings the one launch that was asked for to readiness.
    pub fn serve(&mut self) -> LaunchId {
        let id = self.spawn();
        self.pass_readiness();
        id
    }

    pub fn pass_readiness(&mut self) {
        let (id, _) = self.took_probe();
        self.tell(Input::Probed(id, Ok(())));
    }

    pub fn exit(&mut self, id: &LaunchId, code: i32) {
        let last_line = "the last line".to_owned();
        self.tell(Input::Exited { id: id.clone(), exit: Some(Exit::Code(code)), cause: None, last_line });
        assert_eq!(self.took_clean(), *id);
    }

    /// The states of all records, in order of their slots and then states.
    pub fn states(&self) -> Vec<(u32, ReplicaState)> {
        let mut states: Vec<_> = self.records.values().map(|record| (record.slot, record.state)).collect();
        states.sort_by_key(|(slot, state)| (*slot, *state as u8));
        states
    }

    pub fn state_of(&self, id: &LaunchId) -> Option<ReplicaState> {
        self.records.get(&id.replica).map(|record| record.state)
    }

    pub fn count(&self, kind: EventKind) -> usize {
        self.events.iter().filter(|event| **event == kind).count()
    }
}
