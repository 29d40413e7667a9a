//! Keeper: the processes of a simulated machine. They outlive the node's process, and die with the machine.

use std::collections::BTreeMap;

use agent::{Adopted, Launch, LaunchId};
use genome::Exit;
use types::AppName;

/// One process of a replica.
pub(crate) struct Process {
    pub(crate) launch: Launch,
    pub(crate) pid: u32,
    pub(crate) exit: Option<Exit>,
    /// It was told to go.
    pub(crate) told: bool,
}

#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) processes: BTreeMap<LaunchId, Process>,
    /// How many machines there were before this one: what was to happen on an earlier one doesn't.
    pub(crate) machine: u64,
    last_pid: u32,
}

/// What a release is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    Good,
    /// Takes so many milliseconds to be ready.
    Slow(u64),
    /// Ends at once.
    Crashes,
    /// Becomes ready, and ends soon.
    Fragile,
}

impl Nature {
    /// Whether its replicas stay ready.
    pub(crate) const fn holds(self) -> bool {
        matches!(self, Self::Good | Self::Slow(_))
    }
}

impl Keeper {
    /// The machine loses its power.
    pub(crate) fn die(&mut self) {
        *self = Self { machine: self.machine + 1, ..Self::default() };
    }

    pub(crate) fn spawn(&mut self, launch: Launch) -> u32 {
        self.last_pid += 1;
        let process = Process { pid: self.last_pid, exit: None, told: false, launch };
        self.processes.insert(process.launch.id.clone(), process);
        self.last_pid
    }

    /// A process that runs.
    pub(crate) fn alive(&self, id: &LaunchId) -> Option<&Process> {
        self.processes.get(id).filter(|process| process.exit.is_none())
    }

    /// The processes of an app that run and were not told to go.
    pub(crate) fn of_app<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = &'a Process> {
        self.serving().filter(move |process| process.launch.app == *app)
    }

    /// The processes that run and were not told to go.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| process.exit.is_none() && !process.told)
    }

    /// What an agent that starts takes over.
    pub(crate) fn held(&self) -> Vec<Adopted> {
        let held = |process: &Process| Adopted {
            launch: process.launch.clone(),
            pid: process.pid,
            exit: process.exit,
            cause: None,
            last_line: String::new(),
        };
        self.processes.values().map(held).collect()
    }
}
