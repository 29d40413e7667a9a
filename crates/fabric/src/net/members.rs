//! Members: who is in the mesh and answers (SWIM, Das et al. 2002, by `foca`), with what it lacks beside it: a
//! comparison of whole lists, and a memory of those that are gone, so that the parts of a mesh that was cut
//! find each other again.
//!
//! A death is forgotten by SWIM after [`FORGET`]: from then on the same life of the same node may be heard of
//! again, which is what happens after a cut. Whoever was taken for dead and hears of it meanwhile comes back
//! under a higher generation.

mod compare;
mod up;

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Foca, NoCustomBroadcast, OwnedNotification, PeriodicParams};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use types::Timestamp;

use super::envelope::MAX_DATAGRAM;
use super::output::Offence;
use super::peer::{Peer, PeerId};
use super::store::Store;
use super::swim::{Codec, sift};
use up::Up;

/// Every node probes one other so often: one death in a hundred goes five times unnoticed.
const PROBE: Duration = Duration::from_millis(400);
/// A direct answer comes within this, or others are asked to probe too.
const ROUND_TRIP: Duration = Duration::from_millis(200);
/// The unit of suspicion.
const DOUBT: Duration = Duration::from_millis(500);
/// News is sent to three members so often, while there is any.
const GOSSIP: Duration = Duration::from_millis(100);
/// After this a death is forgotten. Longer than news of it takes to be everywhere (some 3 s at 10,000 nodes).
const FORGET: Duration = Duration::from_secs(15);
/// By so much another's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// The most members; and the most that are remembered as gone.
const MAX_MEMBERS: usize = 16 * 1024;

/// What the library wants done.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) sends: Vec<(PeerId, Vec<u8>)>,
    pub(super) timers: Vec<(Duration, foca::Timer<Peer>)>,
    pub(super) news: Vec<OwnedNotification<Peer>>,
}

impl foca::Runtime<Peer> for Effects {
    fn notify(&mut self, notification: foca::Notification<'_, Peer>) {
        self.news.push(notification.to_owned());
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.sends.push((to.id, data.to_vec()));
    }

    fn submit_after(&mut self, event: foca::Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// One that is gone.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) peer: Peer,
    /// Whether its death counts for placement already.
    pub(super) settled: bool,
}

pub(super) struct Members {
    swim: Foca<Peer, Codec, StdRng, NoCustomBroadcast>,
    rng: StdRng,
    pub(super) up: Up,
    pub(super) lost: BTreeMap<PeerId, Lost>,
    /// Whom we were told to meet.
    pub(super) seeds: BTreeSet<PeerId>,
    pub(super) effects: Effects,
    /// A generation under which somebody else spoke of us, higher than ours.
    contested: u64,
    /// The timer that passes news on, while there is none: a calm node isn't woken ten times a second.
    parked: Option<foca::Timer<Peer>>,
}

impl Members {
    pub(super) fn new(me: Peer, rng: StdRng, own: StdRng) -> Self {
        Self {
            swim: Foca::new(me, config(1), rng, Codec),
            rng: own,
            up: Up::new(),
            lost: BTreeMap::new(),
            seeds: BTreeSet::new(),
            effects: Effects::default(),
            contested: 0,
            parked: None,
        }
    }

    pub(super) const fn me(&self) -> &Peer {
        self.swim.identity()
    }

    pub(super) fn is_up(&self, peer: &PeerId) -> bool {
        self.up.get(peer).is_some()
    }

    /// A datagram of SWIM.
    pub(super) fn receive(&mut self, from: PeerId, bytes: &[u8], store: &impl Store) -> Result<(), Offence> {
        let mut contested = 0;
        let sifted = sift(bytes, |peer| {
            contested = contested.max(self.contest(peer));
            self.check(peer, store).is_ok()
        })?;
        if sifted.source.id != from {
            return Err(Offence::Spoofed);
        }
        self.check(&sifted.source, store)?;
        self.contested = contested;
        // what may fail here is late or crossed, never wrong: the form was checked
        drop(self.swim.handle_data(&sifted.bytes, &mut self.effects));
        self.outdo();
        Ok(())
    }

    pub(super) fn timer(&mut self, timer: foca::Timer<Peer>) {
        drop(self.swim.handle_timer(timer, &mut self.effects));
    }

    /// What the library wants done since it was last asked.
    pub(super) fn effects(&mut self) -> Effects {
        let mut effects = std::mem::take(&mut self.effects);
        if self.swim.updates_backlog() == 0 {
            let of_gossip =
                |timer: &(_, foca::Timer<Peer>)| matches!(timer.1, foca::Timer::PeriodicGossip(_));
            if let Some(place) = effects.timers.iter().position(of_gossip) {
                self.parked = Some(effects.timers.remove(place).1);
            }
        } else if let Some(timer) = self.parked.take() {
            effects.timers.push((GOSSIP, timer));
        }
        effects
    }

    /// Comes back under other addresses.
    pub(super) fn readdress(&mut self, addresses: Vec<std::net::SocketAddr>) {
        let Some(name) = self.me().name().cloned() else { return };
        let new = Peer::new(self.me().id, self.me().generation + 1, name, addresses);
        drop(self.swim.change_identity(new, &mut self.effects));
    }

    /// Says goodbye, in a life of its own that nobody takes for a death.
    pub(super) fn leave(&mut self) {
        let last = Peer { leaving: true, ..self.me().next(0) };
        drop(self.swim.change_identity(last, &mut self.effects));
        drop(self.swim.leave_cluster(&mut self.effects));
    }

    /// Keeps the books on what the library noticed; whether anything changed.
    pub(super) fn note(&mut self, news: &OwnedNotification<Peer>) {
        match news {
            OwnedNotification::MemberUp(peer) => {
                self.lost.remove(&peer.id);
                self.up.insert(peer.clone());
                self.scale();
            }
            OwnedNotification::Rename(_, peer) if self.is_up(&peer.id) => {
                self.up.insert(peer.clone());
            }
            OwnedNotification::MemberDown(peer) => {
                self.up.remove(&peer.id);
                if !peer.leaving && self.lost.len() < MAX_MEMBERS {
                    self.lost.insert(peer.id, Lost { peer: peer.clone(), settled: false });
                }
                self.scale();
            }
            _ => {}
        }
    }

    /// Whom to call on this second: one that the mesh has admitted, or that we were told to meet, and that isn't here.
    /// Alone, each second; else so seldom that all together call on a missing one every few seconds, and after a
    /// cut somebody does at once. Who starts in a part of a cut mesh finds those of it that it never met.
    pub(super) fn missing(&mut self, store: &impl Store) -> Option<PeerId> {
        let strange = self.seeds.iter().filter(|id| !self.lost.contains_key(id) && !self.is_up(id)).count();
        let absent = store.admitted().saturating_sub(self.up.len() + 1);
        let count = absent.max(self.lost.len() + strange);
        #[expect(clippy::cast_precision_loss, reason = "a mesh has few members")]
        let share = count as f64 / (self.up.len() + 1) as f64;
        if self.up.len() > 0 && !self.rng.random_bool((0.4 * share).min(1.0)) {
            return None;
        }
        let all =
            store.admitted_keys().into_iter().chain(self.lost.keys().copied()).chain(self.seeds.clone());
        let missing: BTreeSet<PeerId> = all.filter(|id| !self.is_up(id) && *id != self.me().id).collect();
        missing.into_iter().choose(&mut self.rng)
    }

    pub(super) fn random(&mut self) -> Option<PeerId> {
        self.up.ids().choose(&mut self.rng)
    }

    /// Has those leave whom the mesh doesn't admit any more. The overlay cuts their links at once, by itself.
    pub(super) fn expel(&mut self, store: &impl Store) {
        let admitted = |peer: &Peer| peer.name().is_some_and(|name| store.admits(name, &peer.id));
        let gone: Vec<foca::Member<Peer>> = self
            .up
            .peers()
            .filter(|peer| !admitted(peer))
            .map(|peer| foca::Member::new(peer.clone(), 0, foca::State::Down))
            .collect();
        drop(self.swim.apply_many(gone.into_iter(), false, &mut self.effects));
        self.lost.retain(|_, lost| admitted(&lost.peer));
    }

    /// Whether a peer may be believed to exist.
    fn check(&self, peer: &Peer, store: &impl Store) -> Result<(), Offence> {
        if peer.id == self.me().id {
            return if peer == self.me() { Ok(()) } else { Err(Offence::Spoofed) };
        }
        if self.up.get(&peer.id).is_some_and(|known| known == peer) {
            return Ok(());
        }
        if self.up.len() >= MAX_MEMBERS || !peer.name().is_some_and(|name| store.admits(name, &peer.id)) {
            return Err(Offence::Stranger);
        }
        if Timestamp::from_millis(peer.generation) > store.now() + AHEAD {
            return Err(Offence::Future(peer.generation));
        }
        Ok(())
    }

    /// The generation under which somebody speaks of us, if it is above ours.
    fn contest(&self, peer: &Peer) -> u64 {
        if peer.id == self.me().id && foca::Identity::win_addr_conflict(peer, self.me()) {
            peer.generation
        } else {
            0
        }
    }

    /// Comes back above a generation that somebody claimed for us: nobody else can speak for this key.
    fn outdo(&mut self) {
        let claimed = std::mem::take(&mut self.contested);
        if claimed > 0 && !self.me().leaving && claimed < u64::MAX >> 2 {
            let new = self.me().next(claimed + 1);
            drop(self.swim.change_identity(new, &mut self.effects));
        }
    }

    /// What depends on the number of members.
    fn scale(&mut self) {
        drop(self.swim.set_config(config(self.up.len() + 1)));
    }
}

/// A suspicion lasts 3 log10(n) - 3 times half a second, twice at least: short, because who was only held up refutes it or comes
/// back, and a death counts for placement 5 s later only. News is told ln(n) + 9 times by each, so that one
/// death in ten thousand is missed by anybody (with the usual 4 log10(n) times, at 50 nodes, it is one in eight).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]
fn config(members: usize) -> foca::Config {
    let magnitude = (members.max(10) as f64).log10();
    foca::Config {
        probe_period: PROBE,
        probe_rtt: ROUND_TRIP,
        suspect_to_down_after: DOUBT.mul_f64((3.0 * magnitude - 3.0).max(2.0)),
        max_transmissions: NonZeroU8::new((2.3 * magnitude + 9.0) as u8).unwrap_or(NonZeroU8::MIN),
        remove_down_after: Some(FORGET),
        max_packet_size: NonZeroUsize::new(MAX_DATAGRAM - 2).unwrap_or(NonZeroUsize::MIN),
        notify_down_members: true,
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: NonZeroUsize::new(3)
            .map(|num_members| PeriodicParams { frequency: GOSSIP, num_members }),
        ..foca::Config::simple()
    }
}
