//! Net: the network half of the fabric, as one state machine. An input and the time in, outputs out.
//!
//! Three protocols share it: SWIM says who is there, Plumtree spreads what is new within milliseconds, and
//! reconciliation makes stores equal whatever was missed. They feed each other: members become neighbours in the tree
//! and partners in reconciliation; what reconciliation brings in is told to the tree, so that after a cut one
//! meeting heals a side.
//!
//! Nothing is stored or passed on that the store did not verify ([`Store::merge`]). Nothing here trusts a peer
//! beyond what only that peer can say: every message is bounded in size, form, rate and in what it can make us
//! do, and whoever oversteps is named ([`Output::Misbehaviour`]).
//!
//! It opens no socket, reads no clock and has no random source of its own: `now` is a duration from any origin that
//! never goes back, the seed is given. The daemon and the simulator drive this same code; the same inputs at
//! the same times give the same outputs.

mod chores;
mod envelope;
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod liveness;
mod members;
mod output;
mod peer;
mod reconcile;
mod records;
mod store;
mod swim;
mod timers;
mod tree;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use types::NodeName;

use crate::WireError;
pub use envelope::{MAX_DATAGRAM, MAX_MESSAGE, NET_VERSION};
use envelope::{Message, Opened};
use limits::Limits;
pub use liveness::{Liveness, Standing};
use members::Members;
pub use output::{Class, Counters, Event, Input, Offence, Output};
pub use peer::{MAX_ADDRESSES, Peer, PeerId};
use reconcile::Reconcile;
pub use store::{CoreAt, FabricAt, Store};
pub(crate) use store::{admits, keys};
use timers::Timers;
use tree::Tree;

/// Who we are.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's key.
    pub id: PeerId,
    /// The node's name, under which the mesh has admitted that key.
    pub name: NodeName,
    /// Where it can be reached, best first.
    pub addresses: Vec<SocketAddr>,
    /// Above that of every earlier start: milliseconds since 1970 will do ([`crate::Core::incarnation`]).
    pub generation: u64,
    /// From which all chance derives; must differ from node to node.
    pub seed: [u8; 32],
}

/// The state of the network's side of one node.
pub struct Net {
    members: Members,
    tree: Tree,
    reconcile: Reconcile,
    limits: Limits,
    timers: Timers,
    /// With whom to reconcile soon: they were away.
    returned: VecDeque<PeerId>,
    /// Whether a record was broadcast whose writer may not write, as far as we knew then.
    early: bool,
    /// Whether records were ever reconciled with somebody.
    met: bool,
    /// Whether the store knows that this node runs.
    woken: bool,
    /// When records are reconciled, and lists of members compared, next.
    reconcile_at: Option<Duration>,
    compare_at: Option<Duration>,
    /// When the tree is looked after next.
    tree_at: Option<Duration>,
    /// Seconds until lists are compared once more, while many come.
    pace: f64,
    counters: Counters,
    rng: StdRng,
    now: Duration,
    out: Vec<Output>,
    left: bool,
}

impl Net {
    /// A node on its own, until it is told whom to meet ([`Input::Join`]) or somebody calls.
    #[must_use]
    pub fn new(config: Config, now: Duration) -> Self {
        let Config { id, name, addresses, generation, seed } = config;
        let mut rng = StdRng::from_seed(seed);
        let me = Peer::new(id, generation, name, addresses);
        let mut net = Self {
            members: Members::new(me, StdRng::from_rng(&mut rng), StdRng::from_rng(&mut rng)),
            tree: Tree::new(&id),
            reconcile: Reconcile::default(),
            limits: Limits::default(),
            timers: Timers::default(),
            returned: VecDeque::new(),
            early: false,
            met: false,
            woken: false,
            reconcile_at: None,
            compare_at: None,
            tree_at: None,
            pace: f64::INFINITY,
            counters: Counters::default(),
            rng,
            now,
            out: Vec::new(),
            left: false,
        };
        net.start_chores();
        net
    }

    /// Takes one step. `now` is the time since any origin, the same in every step; going back is standing still.
    pub fn handle(&mut self, input: Input, now: Duration, store: &mut impl Store) -> Vec<Output> {
        self.now = self.now.max(now);
        if self.left {
            return Vec::new();
        }
        if self.timers.forgive(self.now).is_some() {
            self.counters.lags += 1;
        }
        if !self.woken {
            self.stay_awake(store);
        }
        match input {
            Input::Join(peers) => self.join(peers),
            Input::Received { from, class, bytes } => self.received(from, class, &bytes, store),
            Input::Timer => {
                self.timers.rung();
                while let Some(due) = self.timers.pop(self.now) {
                    self.chore(due, store);
                    self.settle_members(store);
                }
            }
            Input::Publish(record) => self.publish(&record),
            Input::Unreachable(peer) => self.tree.broke(&peer),
            Input::Addresses(addresses) => self.members.readdress(addresses),
            Input::Leave => self.leave(),
        }
        self.settle_members(store);
        self.settle_tree();
        if !self.left
            && let Some(at) = self.timers.news()
        {
            self.out.push(Output::Timer(at));
        }
        std::mem::take(&mut self.out)
    }

    /// Forgives nobody for our own lag; for measuring what that is worth, and for nothing else.
    #[doc(hidden)]
    pub const fn trust_own_clock(&mut self) {
        self.timers.unguarded = true;
    }

    /// This node, as others are told.
    #[must_use]
    pub const fn me(&self) -> &Peer {
        self.members.me()
    }

    /// Who is here, ourselves not included, in the order of their keys.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.members.up.peers()
    }

    /// Who doesn't answer, each with whether that counts for placement already.
    pub fn lost(&self) -> impl ExactSizeIterator<Item = (PeerId, bool)> {
        self.members.lost.iter().map(|(id, lost)| (*id, lost.settled))
    }

    /// The neighbours in the broadcast tree: those worth a link that is kept open.
    pub fn neighbours(&self) -> impl ExactSizeIterator<Item = PeerId> {
        self.tree.neighbours()
    }

    /// Whether records were ever reconciled with somebody, to the end: what is here is what the mesh knows.
    #[must_use]
    pub const fn has_met(&self) -> bool {
        self.met
    }

    /// Counters since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn join(&mut self, peers: Vec<PeerId>) {
        let me = self.me().id;
        self.members.seeds.extend(peers.into_iter().filter(|id| *id != me));
        let seeds: Vec<PeerId> = self.members.seeds.iter().copied().take(3).collect();
        for seed in seeds {
            let digest = self.members.digest();
            self.send(seed, Class::Datagram, &digest);
        }
    }

    fn leave(&mut self) {
        self.members.leave();
    }

    fn received(&mut self, from: PeerId, class: Class, bytes: &[u8], store: &mut impl Store) {
        let count = match class {
            Class::Datagram => &mut self.counters.datagrams_in,
            Class::Reliable => &mut self.counters.reliable_in,
        };
        *count = (count.0 + 1, count.1 + bytes.len() as u64);
        if from == self.me().id {
            return;
        }
        if let Err(offence) = self.open(from, class, bytes, store) {
            self.counters.refused += 1;
            self.accuse(from, offence);
        }
    }

    fn open(
        &mut self,
        from: PeerId,
        class: Class,
        bytes: &[u8],
        store: &mut impl Store,
    ) -> Result<(), Offence> {
        if bytes.len() > class.limit() {
            return Err(WireError::Field("length").into());
        }
        if !self.limits.message(from, bytes.len(), self.now) {
            return Err(Offence::Flood);
        }
        let message = match Message::decode(bytes)? {
            Opened::Message(message) => message,
            Opened::Unknown => {
                self.counters.unknown += 1;
                return Ok(());
            }
        };
        match message {
            Message::Swim(body) => self.members.receive(from, &body, store)?,
            Message::News { hops, record } => self.news(from, hops, &record, store)?,
            Message::Digest(sums) => self.work(from, |net| {
                net.members.answer(&sums).iter().for_each(|list| net.send(from, Class::Reliable, list));
                Ok(())
            })?,
            Message::Members { of, back, members } => self.work(from, |net| {
                let answers = net.members.merge(of, &back, members, store);
                net.hurry();
                answers.iter().for_each(|list| net.send(from, Class::Reliable, list));
                Ok(())
            })?,
            Message::Query { session, body } => self.work(from, |net| {
                let answer = net.reconcile.query(session, &body, store)?;
                net.send(from, Class::Reliable, &answer);
                Ok(())
            })?,
            Message::Answer { session, body } => {
                let step = self.reconcile.answer(from, session, &body, store)?;
                self.go_on(from, step, store);
            }
            Message::Want { session, ids } => self.work(from, |net| {
                let answers = Reconcile::wanted(session, ids, store);
                answers.iter().for_each(|batch| net.send(from, Class::Reliable, batch));
                Ok(())
            })?,
            Message::Records { session, last, records } => {
                self.take_all(from, session, last, &records, store)?;
            }
            Message::Have(ids) => self.promised(from, ids, store),
            Message::Graft(ids) => self.grafted(from, &ids, store),
            Message::Prune => self.tree.pruned(&from),
            Message::AskStayed { session } => {
                let stayed = !store.is_away();
                self.send(from, Class::Reliable, &Message::Stayed { session, stayed });
            }
            Message::Stayed { session, stayed } => self.reconcile.stayed(from, session, stayed),
        }
        Ok(())
    }

    /// Does what costs us more than it cost the asker, as often as one may ask for it.
    fn work(
        &mut self,
        from: PeerId,
        work: impl FnOnce(&mut Self) -> Result<(), Offence>,
    ) -> Result<(), Offence> {
        if self.limits.work(from, self.now) { work(self) } else { Err(Offence::Flood) }
    }

    fn accuse(&mut self, peer: PeerId, why: Offence) {
        if self.limits.tell(peer, self.now) {
            self.out.push(Output::Misbehaviour { peer, why });
        }
    }

    fn send(&mut self, to: PeerId, class: Class, message: &Message) {
        let bytes = message.encode();
        // what is not for a datagram's size is not for a datagram
        let class = if bytes.len() > MAX_DATAGRAM { Class::Reliable } else { class };
        let count = match class {
            Class::Datagram => &mut self.counters.datagrams_out,
            Class::Reliable => &mut self.counters.reliable_out,
        };
        *count = (count.0 + 1, count.1 + bytes.len() as u64);
        self.out.push(Output::Send { to, class, bytes });
    }
}

/// The records that a message carries, each in its wire form as it came: for those who watch the wire.
#[must_use]
pub fn carried(bytes: &[u8]) -> Vec<Vec<u8>> {
    match Message::decode(bytes) {
        Ok(Opened::Message(Message::Records { records, .. })) => records,
        Ok(Opened::Message(Message::News { record, .. })) => vec![record],
        _ => Vec::new(),
    }
}

/// The ids of the records that a message carries.
#[must_use]
pub fn carried_ids(bytes: &[u8]) -> Vec<types::Digest> {
    carried(bytes).iter().filter_map(|record| crate::wire::id(record)).collect()
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net")
            .field("me", self.me())
            .field("members", &self.members.up.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
