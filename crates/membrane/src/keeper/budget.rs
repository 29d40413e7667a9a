//! What a workload is held to, and what is done when its memory runs out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, EventFlags};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::ahead::Place;
use super::client::Answer;
use super::detach;
use super::replica::{Key, Replica};
use super::server::{Server, Source};
use crate::cgroup::{self, Group, Limits, Used};
use crate::exit::{Exit, OutOfMemory};
use crate::wire::{Failure, FailureKind, SpawnArgs};

/// The group of a workload. It is removed with this, once nobody is in it.
#[derive(Debug)]
pub(super) struct Held {
    pub group: Group,
    pub limits: Limits,
    /// Readable when its memory runs out, where the kernel doesn't see to everything.
    watch: Option<OwnedFd>,
    /// It was.
    starved: bool,
}

/// The same for a newer keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedHeld {
    group: Group,
    limits: Limits,
    starved: bool,
}

impl Held {
    pub fn new(group: Group, limits: Limits) -> Self {
        let watch = group.watch_oom().unwrap_or_else(|error| {
            detach::say(&format!("a lack of memory will be seen late: {error}"));
            None
        });
        Self { group, limits, watch, starved: false }
    }

    /// Holds it to other limits.
    pub fn change(&mut self, limits: &Limits) -> io::Result<()> {
        self.group.change(&self.limits, limits)?;
        self.limits = *limits;
        Ok(())
    }

    pub fn save(&self) -> SavedHeld {
        SavedHeld { group: self.group.clone(), limits: self.limits, starved: self.starved }
    }

    pub fn restore(saved: SavedHeld) -> Self {
        let mut held = Self::new(saved.group, saved.limits);
        // what came between the two keepers
        held.starved = saved.starved || held.group.oom().is_some_and(|oom| oom.kills > 0);
        held
    }

    /// Its first process has begun: what that starts from here on goes first as well, if this is to.
    pub fn begin(&self, pid: Pid) {
        if self.limits.first {
            cgroup::hurry(pid.as_raw_nonzero().get());
        }
    }

    /// Whether its end, which was this one, was for lack of memory.
    pub fn oom(&self, exit: Option<Exit>) -> Option<OutOfMemory> {
        let oom = self.group.oom().unwrap_or_default();
        let own = self.starved || oom.own.unwrap_or(0) > 0;
        // a kill long before of somebody who wasn't missed is no reason for an end of another kind
        let killed = oom.kills > 0 && exit == Some(Exit::Signal(libc::SIGKILL));
        let limit = (self.limits.memory > 0 && own).then_some(self.limits.memory);
        (self.starved || killed).then_some(OutOfMemory { limit })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.group.remove();
    }
}

impl Server {
    /// The group of a workload that is about to be started, and the ways into it.
    pub fn hold(&mut self, args: &SpawnArgs) -> Result<Option<Place>, Failure> {
        let failed = |error: io::Error| refused(format!("limit {}: {error}", args.program.display()));
        args.budget.map(|limits| self.place(&limits).map_err(failed)).transpose()
    }

    /// What a workload uses.
    pub fn usage(&self, id: &str) -> Answer {
        let held = self.replicas.get(&self.key(id)?).and_then(|replica| replica.held.as_ref());
        let usage = held.ok_or_else(|| unlimited(id))?.group.usage();
        Ok((serde_json::to_value(usage).unwrap_or_default(), Vec::new()))
    }

    /// Gives a workload other limits.
    pub fn set_limits(&mut self, id: &str, limits: Limits) -> Result<(), Failure> {
        let key = self.key(id)?;
        let held = self.replicas.get_mut(&key).and_then(|replica| replica.held.as_mut());
        let held = held.ok_or_else(|| unlimited(id))?;
        held.group.set(&limits).map_err(|error| refused(format!("limit {id}: {error}")))?;
        if held.limits.first != limits.first {
            held.group.hurry(limits.first);
        }
        held.limits = limits;
        Ok(())
    }

    /// Hears of it when a workload's memory runs out.
    pub fn watch_memory(&self, key: Key, held: Option<&Held>) -> io::Result<()> {
        match held.and_then(|held| held.watch.as_ref()) {
            Some(watch) => {
                Ok(epoll::add(&self.epoll, watch.as_fd(), Source::Memory(key).data(), EventFlags::IN)?)
            }
            None => Ok(()),
        }
    }

    /// Its memory has run out: the kernel kills one of its processes, and what the others are without that one nobody
    /// can say, so all of it goes.
    pub fn starve(&mut self, key: Key) {
        let held = self.replicas.get_mut(&key).and_then(|replica| replica.held.as_mut());
        if let Some(held) = held
            && let Some(watch) = &held.watch
            && rustix::io::read(watch, &mut [0; 8]).is_ok()
        {
            held.starved = true;
            self.kill(key);
        }
    }
}

impl Replica {
    /// What it uses, and what it is held to.
    pub fn used(&self) -> Option<Used> {
        let held = self.held.as_ref()?;
        Some(Used { id: self.id.clone(), limits: held.limits, usage: held.group.usage() })
    }

    /// Whether anybody is in its group.
    pub fn is_populated(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.group.is_populated())
    }
}

fn unlimited(id: &str) -> Failure {
    refused(format!("limit {id}: it was started without limits, or has ended"))
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}
