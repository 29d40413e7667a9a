//! One node: an agent's core that may be dead, and the keeper's processes that outlive it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::{Core, Launch, LaunchId, World};
use genome::Exit;
use types::{AppName, NodeName, ReplicaName};

pub struct NodeSim {
    pub name: NodeName,
    pub core: Option<Core>,
    /// Rises when an agent starts: what was underway for an earlier one reaches nobody.
    pub incarnation: u64,
    /// Where there is a tick to come.
    pub tick: Option<Duration>,
    pub processes: BTreeMap<LaunchId, Process>,
    /// What was extracted and not cleaned away.
    pub folders: BTreeSet<LaunchId>,
    /// What the core was last told.
    pub world: Option<World>,
    /// The most slots its app had here since a launch was asked for.
    pub slots_since: BTreeMap<LaunchId, (AppName, usize)>,
    /// The last drain of each replica: since when, and whether it was answered.
    pub drains: BTreeMap<ReplicaName, (u32, Duration, bool)>,
    /// Spawns that the keeper was asked for and has not answered.
    pub spawning: BTreeMap<LaunchId, Launch>,
}

#[derive(Clone)]
pub struct Process {
    pub launch: Launch,
    pub pid: u32,
    pub exit: Option<Exit>,
    /// Fails its health checks from now on.
    pub sick: bool,
    /// The keeper was told to end it.
    pub told: bool,
}

/// What a release is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Good,
    /// Takes this many milliseconds to be ready.
    Slow(u64),
    NeverReady,
    /// Ends at once.
    Crashes,
    /// Is ready, and ends soon.
    Fragile,
    /// Signed by a stranger.
    Foreign,
}

impl NodeSim {
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            core: None,
            incarnation: 0,
            tick: None,
            processes: BTreeMap::new(),
            folders: BTreeSet::new(),
            world: None,
            slots_since: BTreeMap::new(),
            drains: BTreeMap::new(),
            spawning: BTreeMap::new(),
        }
    }

    pub fn running(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| process.exit.is_none())
    }

    pub fn learn(&mut self, world: World) {
        self.world = Some(world);
        let mut known = std::mem::take(&mut self.slots_since);
        for (app, most) in known.values_mut() {
            *most = self.slots_of(app).max(*most);
        }
        self.slots_since = known;
        let wanted: Vec<cortex::Assignment> = self.wanted().cloned().collect();
        for process in self.processes.values_mut() {
            let launch = &mut process.launch;
            let slot = wanted.iter().find(|wanted| wanted.app == launch.app && wanted.slot == launch.slot);
            if let Some(slot) = slot.filter(|slot| slot.revision == launch.revision) {
                launch.grace_ms = slot.grace.as_millis() as u64;
            }
        }
    }

    /// How many slots of the app of `launch` the core knows to be its own.
    pub fn slots_of(&self, app: &AppName) -> usize {
        let stays = self.world.iter().flat_map(|world| &world.stays).filter(|(of, _)| of == app);
        self.wanted().filter(|slot| slot.app == *app).count() + stays.count()
    }

    /// What the core knows to be its own.
    pub fn wanted(&self) -> impl Iterator<Item = &cortex::Assignment> {
        self.world.iter().flat_map(|world| &world.assignments)
    }
}
