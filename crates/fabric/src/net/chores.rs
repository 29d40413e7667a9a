//! Chores: what is done by the clock, and what follows from members coming and going.

use std::ops::Range;
use std::time::Duration;

use foca::OwnedNotification as News;
use rand::RngExt as _;
use types::Digest;

use super::envelope::Message;
use super::output::{Class, Event, Output};
use super::peer::{Peer, PeerId};
use super::store::Store;
use super::timers::Due;
use super::{Net, members};
use crate::Absence;

/// Lists of members are compared with somebody so often.
const COMPARE: Range<f64> = 20.0..30.0;
/// From so many in one list, others are told by a comparison of their own; fewer spread as news.
const MANY: usize = 16;
/// And again so many seconds after a comparison that brought many in, or twice that; then after twice as long each
/// time. So a list doubles its holders each second, and the last stragglers are found soon after.
const AGAIN: f64 = 0.25;
/// Records are reconciled with somebody so often.
pub(super) const RECONCILE: Range<f64> = 10.0..30.0;
/// And soon after one that didn't fit, or when somebody comes back who was away.
pub(super) const SOON: Range<f64> = 0.1..1.0;
/// The missing are called on so often.
const EACH_SECOND: Range<f64> = 0.8..1.2;
/// And at once where we know nothing yet.
pub(super) const AT_ONCE: Range<f64> = 0.0..0.02;
/// A session without an end is given up after this.
const STALLED: Duration = Duration::from_secs(10);
/// A death counts for placement after this: a process that was only held up is back by then.
const SETTLE: Duration = Duration::from_secs(5);
/// What is kept for a while is swept so often.
const SWEEP: Range<f64> = 20.0..40.0;
/// So many that came back are reconciled with first.
const MAX_RETURNED: usize = 4;

impl Net {
    pub(super) fn start_chores(&mut self) {
        self.again(EACH_SECOND, Due::Knock);
        self.again(SWEEP, Due::Sweep);
        self.reconcile_within(RECONCILE);
        self.compare_within(COMPARE);
    }

    /// Reconciles at a moment within this, or earlier if that was planned.
    pub(super) fn reconcile_within(&mut self, seconds: Range<f64>) {
        let at = self.now + self.between(seconds);
        if self.reconcile_at.is_none_or(|planned| at < planned) {
            self.reconcile_at = Some(at);
            self.timers.add(at, Due::Reconcile);
        }
    }

    /// Compares lists of members at a moment within this, or earlier if that was planned.
    pub(super) fn compare_within(&mut self, seconds: Range<f64>) {
        let at = self.now + self.between(seconds);
        if self.compare_at.is_none_or(|planned| at < planned) {
            self.compare_at = Some(at);
            self.timers.add(at, Due::Compare);
        }
    }

    /// Many came in one list: others may lack as many.
    pub(super) fn hurry(&mut self) {
        let came = self.members.effects.news.iter().filter(|one| matches!(one, News::MemberUp(_))).count();
        if came > MANY.min(self.members.up.len() / 4) {
            self.pace = AGAIN;
            self.compare_within(AGAIN..2.0 * AGAIN);
        }
    }

    pub(super) fn between(&mut self, seconds: Range<f64>) -> Duration {
        Duration::from_secs_f64(self.rng.random_range(seconds))
    }

    fn again(&mut self, period: Range<f64>, due: Due) {
        let after = self.between(period);
        self.timers.add(self.now + after, due);
    }

    pub(super) fn chore(&mut self, due: Due, store: &mut impl Store) {
        match due {
            Due::Swim(timer) => self.members.timer(timer),
            // what was moved forward leaves its old place behind
            Due::Tree if self.tree_at.is_some_and(|at| at <= self.now) => {
                self.tree_at = None;
                let sends = self.tree.timer(self.now);
                self.send_all(sends);
            }
            Due::Compare if self.compare_at.is_some_and(|at| at <= self.now) => self.compare(),
            Due::Reconcile if self.reconcile_at.is_some_and(|at| at <= self.now) => self.reconcile(store),
            Due::Tree | Due::Compare | Due::Reconcile => {}
            Due::Knock => {
                if let Some(peer) = self.members.missing(store) {
                    let digest = self.members.digest();
                    self.send(peer, Class::Datagram, &digest);
                }
                self.again(EACH_SECOND, Due::Knock);
            }
            Due::Stalled(session) => {
                if self.reconcile.abandon(session) {
                    self.reconcile_within(SOON);
                }
            }
            Due::Settle(peer, generation) => {
                if let Some(lost) = self.members.lost.get_mut(&peer)
                    && lost.peer.generation == generation
                    && !lost.settled
                {
                    lost.settled = true;
                    self.out.push(Output::Member(Event::Dead(peer)));
                }
            }
            Due::Sweep => {
                self.tree.sweep();
                self.members.expel(store);
                self.limits.sweep(self.now);
                self.reconcile.sweep(self.now);
                self.stay_awake(store);
                self.again(SWEEP, Due::Sweep);
            }
        }
    }

    /// Notes that this node runs; whether it was away follows.
    pub(super) fn stay_awake(&mut self, store: &mut impl Store) {
        self.woken = true;
        let absence = self.me().name().and_then(|me| store.awake(me));
        if matches!(absence, Some(Absence::Began(..))) {
            self.reconcile.doubted();
            self.reconcile_within(SOON);
        }
        self.out.extend(absence.map(Output::Absence));
    }

    /// One that stayed lacks these, of what we doubt: they leave.
    pub(super) fn forget(&mut self, lacked: Vec<Digest>, store: &mut impl Store) {
        if !lacked.is_empty() {
            // Lesser records of the same names were refused for their sake.
            self.reconcile.forgive();
            self.reconcile_within(SOON);
        }
        let absence = store.forget(lacked);
        self.out.extend(absence.map(Output::Absence));
    }

    fn compare(&mut self) {
        self.compare_at = None;
        if let Some(peer) = self.members.random() {
            let digest = self.members.digest();
            self.send(peer, Class::Datagram, &digest);
        }
        let period = if self.pace < COMPARE.start { self.pace..2.0 * self.pace } else { COMPARE };
        self.pace *= 2.0;
        self.compare_within(period);
    }

    fn reconcile(&mut self, store: &impl Store) {
        self.reconcile_at = None;
        self.reconcile_within(RECONCILE);
        if self.reconcile.busy() {
            return;
        }
        let returned = std::iter::from_fn(|| self.returned.pop_front()).find(|peer| self.members.is_up(peer));
        let Some(peer) = returned.or_else(|| self.members.random()) else {
            self.reconcile_within(SOON);
            return;
        };
        if let Some((session, queries)) = self.reconcile.start(peer, store) {
            self.counters.sessions += 1;
            queries.iter().for_each(|query| self.send(peer, Class::Reliable, query));
            self.timers.add(self.now + STALLED, Due::Stalled(session));
        }
    }

    /// Carries out what the library for members wants, until it wants nothing more.
    pub(super) fn settle_members(&mut self, _store: &impl Store) {
        let members::Effects { sends, timers, news } = self.members.effects();
        for (to, bytes) in sends {
            self.send(to, Class::Datagram, &Message::Swim(bytes));
        }
        for (after, timer) in timers {
            self.timers.add(self.now + after, Due::Swim(timer));
        }
        for one in news {
            self.noticed(&one);
        }
        if self.me().leaving {
            self.left = true;
        }
    }

    fn noticed(&mut self, news: &News<Peer>) {
        let returns = match news {
            News::MemberUp(peer) => self.members.lost.contains_key(&peer.id) || !self.reconcile.settled,
            _ => false,
        };
        self.members.note(news);
        match news {
            News::MemberUp(peer) => {
                self.came(peer);
                if returns {
                    self.meet_again(peer.id);
                }
            }
            News::Rename(_, peer) if self.members.is_up(&peer.id) => self.came(peer),
            News::MemberDown(peer) => self.went(peer),
            _ => {}
        }
    }

    /// Reconciles with this one soon.
    pub(super) fn meet_again(&mut self, peer: PeerId) {
        if self.returned.len() < MAX_RETURNED && !self.returned.contains(&peer) {
            self.returned.push_back(peer);
            // Whoever just came has nothing, and nobody who would ask at the same moment.
            self.reconcile_within(if self.reconcile.settled { SOON } else { AT_ONCE });
        }
    }

    fn came(&mut self, peer: &Peer) {
        self.tree.came(&peer.id, self.members.up.len());
        let addresses = peer.addresses().to_vec();
        self.out.push(Output::Learn { peer: peer.id, addresses });
        self.out.push(Output::Member(Event::Up(peer.clone())));
    }

    fn went(&mut self, peer: &Peer) {
        let event = if peer.leaving { Event::Left(peer.id) } else { Event::Down(peer.id) };
        self.out.push(Output::Member(event));
        if !peer.leaving {
            self.timers.add(self.now + SETTLE, Due::Settle(peer.id, peer.generation));
        }
        self.tree.went(&peer.id, self.members.up.ids());
        let id: PeerId = peer.id;
        self.returned.retain(|one| *one != id);
    }
}
