//! The driver of the fabric's network core: it moves bytes, keeps time, and tells the rest who is there.

use std::time::{Duration, Instant};

use fabric::Fabric;
use fabric::net::{Class, Event, FabricAt, Input, Liveness, Net, Output, Peer, PeerId, Standing};
use hyphae::{MAX_DATAGRAM, Overlay};
use tokio::sync::{mpsc, watch};
use types::NodeName;

use super::GOSSIP;
use super::door::Door;
use super::waiting::{Message, Waiting};
use crate::clock::SystemClock;
use crate::events::EventLog;
use crate::presence::Presence;
use crate::quarantine::Handler;
use crate::tunnel::Tunnels;

/// How long after the start a node that was not heard of counts as dead.
const AWAITED: Duration = Liveness::AWAITED;

/// The core, and everything it acts on.
pub(super) struct Driver {
    pub(super) net: Net,
    pub(super) fabric: Fabric,
    pub(super) overlay: Overlay,
    pub(super) presence: Presence,
    pub(super) door: Door,
    pub(super) events: EventLog,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) handler: Handler,
    /// What waits until this node has come to terms with it.
    pub(super) waiting: Waiting,
    pub(super) settled: watch::Receiver<u64>,
    pub(super) began: Instant,
    /// Turns true when this node knows what the mesh knows.
    pub(super) met: watch::Sender<bool>,
    pub(super) tunnels: Tunnels,
    /// Turns true when a successor is about to speak for this node.
    pub(super) silent: watch::Receiver<bool>,
}

impl Driver {
    /// Runs as long as somebody may send inputs, and nobody else speaks for this node.
    pub(super) async fn run(mut self) {
        let mut due = None;
        let mut settled = false;
        self.step(Input::Timer, &mut due);
        loop {
            let now = self.began.elapsed();
            if !settled && now >= AWAITED {
                settled = true;
                self.presence.settle();
                self.fabric.touch(SystemClock.now());
            }
            // Time first: a flood of messages must not make us miss our own probes.
            if due.is_some_and(|at| at <= now) {
                due = None;
                self.step(Input::Timer, &mut due);
                continue;
            }
            let wake = due.unwrap_or(now + AWAITED).min(if settled { Duration::MAX } else { AWAITED });
            let wake = tokio::time::Instant::from_std(self.began + wake);
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.step(input, &mut due),
                    None => return,
                },
                Ok(()) = self.settled.changed() => {
                    self.waiting.free().into_iter().for_each(|message| self.send(message));
                }
                _ = self.silent.changed() => return,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn step(&mut self, input: Input, due: &mut Option<Duration>) {
        self.handler.begin_at(self.fabric.view().version);
        let mut store = FabricAt(&self.fabric, SystemClock.now());
        let outputs = self.net.handle(input, self.began.elapsed(), &mut store);
        self.met.send_if_modified(|met| !std::mem::replace(met, self.net.has_met()) && *met);
        let mut changed = false;
        for output in outputs {
            match output {
                Output::Timer(at) => *due = Some(at),
                Output::Send { to, class, bytes } => {
                    if let Some(message) = self.waiting.keep(to, class, bytes) {
                        self.send(message);
                    }
                }
                Output::Learn { peer, addresses } => self.learn(peer, &addresses),
                Output::Member(event) => changed |= self.member(&event),
                Output::Stored(receipt) => {
                    if receipt.key.kind.rules() {
                        self.door.refresh(&self.fabric);
                    }
                }
                Output::Absence(absence) => {
                    let said = super::absence::said(&absence);
                    tracing::warn!("{said}");
                    self.events.record(crate::events::of_mesh(said));
                }
                Output::Misbehaviour { peer, why } => {
                    let name = self.presence.name(&peer);
                    let who = name.as_ref().map_or("a node without a name", NodeName::as_str);
                    tracing::warn!(peer = who, "failed to {why}");
                }
            }
        }
        if changed {
            self.fabric.touch(SystemClock.now());
        }
        self.handler.done();
    }

    fn send(&self, message: Message) {
        let Message { to, class, bytes, .. } = message;
        let Some(key) = self.presence.public(to) else { return };
        let sent = if class == Class::Datagram && bytes.len() <= MAX_DATAGRAM {
            self.overlay.send_datagram(key, bytes)
        } else {
            self.overlay.send(key, GOSSIP, bytes)
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a message was not sent");
        }
    }

    fn learn(&self, peer: PeerId, addresses: &[std::net::SocketAddr]) {
        let Some(key) = self.presence.public(peer) else { return };
        if addresses.is_empty() {
            return;
        }
        if let Err(error) = self.overlay.learn(key, addresses) {
            tracing::warn!(%error, "can't use a node's addresses");
        }
    }

    /// A node that is there again is waited for no longer; one that leaves serves on for a while.
    fn tell_tunnels(&self, event: &Event) {
        let (Event::Up(Peer { id, .. }) | Event::Left(id)) = event else { return };
        match (self.presence.public(*id), event) {
            (Some(key), Event::Left(_)) => self.tunnels.left(key),
            (Some(key), _) => self.tunnels.came(&key),
            // Nobody has such a key.
            (None, _) => {}
        }
    }

    /// Notes what became of a member; whether it changes what is placed or routed where.
    fn member(&self, event: &Event) -> bool {
        // In this order, so that nobody is unknown in between: who leaves is used on, who is back is used at once.
        if matches!(event, Event::Left(_)) {
            self.tell_tunnels(event);
        }
        let noted = self.presence.note(event);
        if matches!(event, Event::Up(_)) {
            self.tell_tunnels(event);
        }
        let Some((name, standing)) = noted else { return false };
        if let (Standing::Silent | Standing::Dead, Some(key)) = (standing, self.presence.key(&name)) {
            // Requests that wait for it are to be asked elsewhere.
            self.overlay.doubt(&key);
        }
        let said = match standing {
            Standing::Here | Standing::Expected => format!("node {name} is here"),
            Standing::Silent => format!("node {name} does not answer"),
            Standing::Dead => format!("node {name} is dead: what it ran is placed anew"),
            Standing::Left => format!("node {name} has left"),
        };
        tracing::info!("{said}");
        self.events.record(crate::events::of_mesh(said));
        true
    }
}
