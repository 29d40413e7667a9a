//! Ends: reaping, deadlines, and seeing every tree that must go to its end.
//!
//! Nothing here is a script: [`Server::settle`] looks at each replica that is on its way to its end, does
//! the next thing, and is called again whenever a child died, a client asked or a deadline passed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::process::{Pid, Signal, WaitOptions};

use super::budget::Held;
use super::detach;
use super::replica::{Key, Order, Part, Replica};
use super::server::{Leaving, Server, Source, now};
use crate::exit::Exit;
use crate::tree::{self, Tree};
use crate::wire::{Event, Message};

/// How long after it was killed a tree may take before its exit is reported all the same (a process
/// in uninterruptible sleep dies when the disk lets it).
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// How soon a killed tree is looked at again when no child's end comes first.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How soon one that is just executing a program is looked at again, and for how long.
const LOOK_CLOSELY: Duration = Duration::from_millis(2);
const UNCLEAR_PATIENCE: Duration = Duration::from_millis(100);

/// What is still to be killed of a workload whose exit was reported.
pub(super) enum Remnant {
    /// What could be found of its tree.
    Tree(Tree),
    /// Whoever is in its group.
    Group(Held),
}

impl Server {
    /// Takes note of all children that died, main processes or orphans.
    pub fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    self.reaped = true;
                    let pid = pid.as_raw_nonzero().get();
                    match self.children.remove(&pid) {
                        Some((key, Part::Main)) => self.main_ended(key, Exit::from(status)),
                        Some((key, Part::Host)) => self.host_ended(key),
                        Some((key, Part::Relay)) => self.relay_ended(key),
                        None => {}
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn main_ended(&mut self, key: Key, exit: Exit) {
        if let Some(replica) = self.replicas.get_mut(&key) {
            replica.exit = Some(exit);
            self.busy.insert(key);
        }
    }

    /// The room is closed, and nobody is left in it.
    fn host_ended(&mut self, key: Key) {
        if let Some(replica) = self.replicas.get_mut(&key) {
            replica.tree.closed();
            if !replica.ended && matches!(replica.order, Order::Run) {
                // Somebody else has ended it, and with it the workload: what is left to do is the report.
                replica.order = kill_from(Instant::now());
            }
            self.busy.insert(key);
        }
    }

    /// Asks a workload to end: SIGTERM, and after `grace` its tree is killed.
    pub fn stop(&mut self, key: Key, grace: Duration) {
        let Some(replica) = self.replicas.get_mut(&key).filter(|replica| !replica.ended) else { return };
        let now = Instant::now();
        // a grace nobody lives to see the end of
        let until = now.checked_add(grace).unwrap_or(now + Duration::from_secs(86_400 * 365));
        match &mut replica.order {
            Order::Kill { .. } => return,
            Order::Term { until: before, .. } => *before = until.min(*before),
            Order::Run => {
                replica.order = Order::Term { until, told: BTreeMap::new() };
                if let (None, Some(pid)) = (replica.exit, Pid::from_raw(replica.pid)) {
                    // not reaped, so the number is still its own; a stopped process must go on to hear it
                    let _ = rustix::process::kill_process(pid, Signal::TERM);
                    let _ = rustix::process::kill_process(pid, Signal::CONT);
                }
            }
        }
        self.busy.insert(key);
    }

    /// Kills a workload's tree.
    pub fn kill(&mut self, key: Key) {
        let Some(replica) = self.replicas.get_mut(&key).filter(|replica| !replica.ended) else { return };
        if !matches!(replica.order, Order::Kill { .. }) {
            replica.order = kill_from(Instant::now());
        }
        self.busy.insert(key);
    }

    /// Begins the keeper's own end.
    pub fn leave(&mut self, asked: Option<(u32, u64)>, grace: Duration) {
        let keys: Vec<Key> = self.replicas.keys().copied().collect();
        for key in keys {
            if grace.is_zero() { self.kill(key) } else { self.stop(key, grace) }
        }
        let give_up = Instant::now() + grace + 2 * KILL_PATIENCE;
        let leaving = self.leaving.get_or_insert(Leaving { asked, give_up, done: false });
        leaving.asked = leaving.asked.or(asked);
        leaving.give_up = leaving.give_up.min(give_up);
    }

    /// Does what is due.
    pub fn settle(&mut self) {
        let now = Instant::now();
        for key in std::mem::take(&mut self.busy) {
            if self.advance(key, now) {
                self.busy.insert(key);
            }
        }
        self.kill_remnants(now);
        self.reaped = false;
        self.settle_leaving(now);
        self.listen_again(now);
        self.retry_logs(now);
        self.read_on(now);
        self.make_ahead(Instant::now());
        self.note_idle(now);
    }

    /// One replica's next step towards its end; false when it has arrived there.
    fn advance(&mut self, key: Key, now: Instant) -> bool {
        let Some(replica) = self.replicas.get_mut(&key) else { return false };
        let due = replica.deadline().is_none_or(|deadline| deadline <= now);
        let alive = replica.exit.is_none() && matches!(replica.order, Order::Term { .. });
        if !due && (alive || !self.reaped) {
            return true;
        }
        let main = replica.main();
        if main.is_none() && replica.tree.is_over() {
            if replica.lingers(now) {
                return true;
            }
            self.finish(key);
            return false;
        }
        // Whoever it has left in its room has nothing to wait for: the kernel ends them all, and tells us by process 1.
        if main.is_none() && matches!(replica.order, Order::Run) && replica.tree.close() {
            let give_up = now + KILL_PATIENCE;
            replica.order = Order::Kill { unclear_until: now, again: now + LOOK_AGAIN, give_up };
            return true;
        }
        if replica.cull(due, now) {
            return true;
        }
        let children = &self.children;
        let orphans = || tree::orphans(|pid| children.contains_key(&pid));
        let sight = replica.tree.look(main, orphans);
        if sight.members.is_empty() && main.is_none() && !replica.tree.close() {
            return self.conclude(key, sight.unclear, now);
        }
        match &mut replica.order {
            Order::Term { until, told } if now < *until => {
                told.retain(|member, _| sight.members.contains(member));
                for member in sight.members {
                    if let Entry::Vacant(entry) = told.entry(member)
                        && let Some(fd) = member.open()
                    {
                        let _ = rustix::process::pidfd_send_signal(&fd, Signal::TERM);
                        let (data, flags) = (Source::Left(key).data(), EventFlags::IN);
                        let _ = epoll::add(&self.epoll, &fd, data, flags);
                        entry.insert(fd);
                    }
                }
                return true;
            }
            Order::Kill { give_up, .. } if now >= *give_up && main.is_none() => {
                let pids: Vec<i32> = sight.members.iter().map(|member| member.pid).collect();
                detach::say(&format!("{} ended, but processes of it don't die: {pids:?}", replica.id));
                let tree = std::mem::replace(&mut replica.tree, Tree::new(0, None, String::new()));
                self.remnants.push((Remnant::Tree(tree), now));
                self.finish(key);
                return false;
            }
            Order::Kill { again, unclear_until, .. } => {
                *again = now + LOOK_AGAIN;
                *unclear_until = now + UNCLEAR_PATIENCE;
            }
            order => *order = kill_from(now),
        }
        if !replica.cull(true, now) {
            replica.tree.kill(main, orphans);
        }
        true
    }

    /// Goes on killing what did not die in time, though its exit was reported.
    fn kill_remnants(&mut self, now: Instant) {
        let (children, reaped) = (&self.children, self.reaped);
        self.remnants.retain_mut(|(remnant, again)| {
            if now < *again && !reaped {
                return true;
            }
            *again = now + LOOK_AGAIN;
            let orphans = || tree::orphans(|pid| children.contains_key(&pid));
            match remnant {
                Remnant::Tree(tree) => {
                    let sight = tree.look(None, orphans);
                    tree.kill(None, orphans);
                    !sight.members.is_empty() || sight.unclear
                }
                Remnant::Group(held) => {
                    held.group.kill();
                    held.group.is_populated()
                }
            }
        });
    }

    /// Everything known of it is gone: the end, unless somebody can't be told from a stranger yet.
    fn conclude(&mut self, key: Key, unclear: bool, now: Instant) -> bool {
        let Some(replica) = self.replicas.get_mut(&key) else { return false };
        let gave_up = matches!(replica.order, Order::Kill { give_up, .. } if now >= give_up);
        if !gave_up && replica.is_populated() {
            // somebody who has left the tree, and can't leave the group
            if !matches!(replica.order, Order::Kill { .. }) {
                replica.order = kill_from(now);
            }
            return true;
        }
        if unclear {
            if !matches!(replica.order, Order::Kill { .. }) {
                replica.order = kill_from(now);
            }
            if let Order::Kill { again, unclear_until, .. } = &mut replica.order
                && now < *unclear_until
            {
                *again = now + LOOK_CLOSELY;
                return true;
            }
        }
        self.finish(key);
        false
    }

    /// Nothing runs any more: the rest of the output, then the report.
    fn finish(&mut self, key: Key) {
        self.drain(key);
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        if let Some(mut log) = replica.log.take() {
            log.finish(true, now(), &mut self.scratch);
            log.retry(now());
        }
        let (held, mounts) = (replica.held.take(), replica.mounts.take());
        replica.oom = held.as_ref().and_then(|held| held.oom(replica.exit));
        replica.pipes = [None, None];
        replica.ended = true;
        self.unwritten.remove(&key);
        self.paused.remove(&key);
        if let Some(exit) = replica.exit {
            let event = Event::Exited { id: replica.id.clone(), exit, oom: replica.oom, cut: replica.cut };
            self.announce(&Message { event: Some(event), ..Message::default() });
        }
        // Nobody waits for this.
        drop(mounts);
        if let Some(held) = held.filter(|held| !held.group.remove()) {
            self.remnants.push((Remnant::Group(held), Instant::now()));
        }
        self.plan_ahead();
    }

    /// When every workload has ended, whatever else is below the keeper goes as well.
    fn settle_leaving(&mut self, now: Instant) {
        let Some(leaving) = &mut self.leaving else { return };
        if now < leaving.give_up {
            if self.replicas.values().any(|replica| !replica.ended) {
                return;
            }
            if !tree::kill(|seen| tree::descendants(seen)).is_empty() {
                return;
            }
        }
        leaving.done = true;
    }
}

impl Replica {
    /// Kills whoever is in its group, when that is due; false when nobody is, or it has been tried for long enough.
    fn cull(&mut self, due: bool, now: Instant) -> bool {
        let Some(held) = &self.held else { return false };
        let Order::Kill { again, unclear_until, give_up } = &mut self.order else { return false };
        if now >= *give_up || !held.group.is_populated() {
            return false;
        }
        if due {
            held.group.kill();
            (*again, *unclear_until) = (now + LOOK_AGAIN, now + UNCLEAR_PATIENCE);
        }
        true
    }
}

pub(super) fn kill_from(now: Instant) -> Order {
    Order::Kill { unclear_until: now + UNCLEAR_PATIENCE, again: now, give_up: now + KILL_PATIENCE }
}
