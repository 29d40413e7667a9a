//! Records on their way through: taken into the store first, passed on after.

use super::envelope::Message;
use super::output::{Class, Offence, Output};
use super::peer::PeerId;
use super::reconcile::{DOUBTED, Step, UNASKED};
use super::store::Store;
use super::timers::Due;
use super::tree::Sends;
use super::{Net, chores};
use crate::{Record, Refused, wire};
use types::{Digest, PublicKey};

/// What became of a record that a peer sent.
enum Taken {
    New(PublicKey),
    Known,
    /// Nobody's fault: something newer is here, it has ended, there is no room.
    Left,
}

impl Net {
    pub(super) fn publish(&mut self, record: &Record) {
        if record.key().kind.rules() {
            self.reconcile.learned();
        }
        let sends = self.tree.spread(record.id(), &record.encode(), 0, None, self.now);
        self.send_all(sends);
    }

    /// A record that a neighbour pushes. It is passed on only once it was taken.
    pub(super) fn news(
        &mut self,
        from: PeerId,
        hops: u8,
        bytes: &[u8],
        store: &mut impl Store,
    ) -> Result<(), Offence> {
        let (id, taken) = self.take(bytes, true, store)?;
        if matches!(taken, Taken::New(_)) && self.early && self.reconcile.take_learned() {
            // What came before it, and was refused for that, is at hand where this came from.
            self.early = false;
            self.meet_again(from);
        }
        let sends = match taken {
            Taken::New(_) => self.tree.spread(id, bytes, hops + 1, Some(from), self.now),
            // what came otherwise says nothing about the tree
            Taken::Known if self.tree.had(&id).is_some() => self.tree.twice(from),
            Taken::Known | Taken::Left => return Ok(()),
        };
        self.send_all(sends);
        Ok(())
    }

    /// A neighbour could push these.
    pub(super) fn promised(&mut self, from: PeerId, ids: Vec<(Digest, u8)>, store: &impl Store) {
        let reconcile = &self.reconcile;
        let known = |id: &Digest| reconcile.refuses(id) || store.encoded(*id).is_some();
        self.tree.promised(from, ids, self.now, known);
    }

    /// A neighbour wants what we push, and what we promised.
    pub(super) fn grafted(&mut self, from: PeerId, ids: &[Digest], store: &impl Store) {
        self.tree.grafted(&from);
        for id in ids {
            // what was replaced meanwhile is on its way in its newer form
            let Some(record) = store.encoded(*id).filter(|_| !store.doubts(id)) else { continue };
            if !self.limits.grafted(from, self.now) {
                return;
            }
            let hops = self.tree.had(id).unwrap_or_default();
            self.send(from, Class::Reliable, &Message::News { hops, record });
        }
    }

    /// Records that came by reconciliation. News to us is news to our side of a healed cut, unless we just came.
    pub(super) fn take_all(
        &mut self,
        from: PeerId,
        session: u32,
        last: bool,
        records: &[Vec<u8>],
        store: &mut impl Store,
    ) -> Result<(), Offence> {
        if session == DOUBTED && !store.is_away() {
            return Ok(());
        }
        let mut worst = Ok(());
        let mut records: Vec<&Vec<u8>> = records.iter().collect();
        records.sort_by_key(|bytes| wire::precedence(bytes));
        for bytes in records {
            match self.take(bytes, false, store) {
                Ok((id, Taken::New(_))) if session == DOUBTED => {
                    store.doubt(id);
                    self.reconcile.doubted();
                }
                Ok((id, Taken::New(writer)))
                    if self.reconcile.settled && self.limits.spread(writer, self.now) =>
                {
                    let sends = self.tree.spread(id, bytes, 0, None, self.now);
                    self.send_all(sends);
                }
                Ok(_) => {}
                Err(offence) => worst = Err(offence),
            }
        }
        if session != UNASKED {
            let step = self.reconcile.received(from, session, last);
            self.go_on(from, step, store);
        }
        worst
    }

    /// Carries on with a session of reconciliation.
    pub(super) fn go_on(&mut self, peer: PeerId, step: Step, store: &mut impl Store) {
        let Step { send, over, lacked } = step;
        send.iter().for_each(|message: &Message| self.send(peer, Class::Reliable, message));
        if over == Some(true) {
            self.reconcile_within(chores::SOON);
        }
        if let Some(lacked) = lacked {
            self.forget(lacked, store);
        }
        if over.is_some() && !std::mem::replace(&mut self.met, true) {
            // Members whose records we lacked until now were not believed to be there.
            self.compare_within(chores::AT_ONCE);
        }
    }

    /// Verifies a record and takes it. The same bytes as in the store were verified when they came in, and needn't even
    /// be read: reading the writer's key alone takes longer than finding them.
    fn take(
        &mut self,
        bytes: &[u8],
        broadcast: bool,
        store: &mut impl Store,
    ) -> Result<(Digest, Taken), Offence> {
        if let Some(id) = wire::id(bytes)
            && store.encoded(id).is_some_and(|held| held == bytes)
        {
            self.counters.records_known += 1;
            return Ok((id, Taken::Known));
        }
        let record = Record::decode(bytes)?;
        let id = record.id();
        let writer = record.writer();
        if (broadcast && !self.limits.spread(writer, self.now)) || !self.limits.taken(writer, self.now) {
            return Err(Offence::Writer(writer));
        }
        let taken = match store.merge(record) {
            Ok(receipt) if receipt.new => {
                self.counters.records_new += 1;
                if receipt.key.kind.rules() {
                    self.reconcile.learned();
                }
                self.out.push(Output::Stored(receipt));
                Taken::New(writer)
            }
            Ok(_) => Taken::Left,
            Err(reason) => {
                self.counters.records_refused += 1;
                match reason {
                    // who may write is learned at different times in different places: it may hold soon
                    Refused::Unauthorised { .. } | Refused::NotAdmitted { .. } => {
                        self.reconcile.came_early();
                        self.early |= broadcast;
                        Taken::Left
                    }
                    Refused::NotDurable(_) => Taken::Left,
                    Refused::Stale { .. }
                    | Refused::Expiry { .. }
                    | Refused::TooMany { .. }
                    | Refused::Quarantined { .. } => {
                        self.reconcile.refuse(id, self.now);
                        Taken::Left
                    }
                    reason => return Err(reason.into()),
                }
            }
        };
        Ok((id, taken))
    }

    pub(super) fn send_all(&mut self, sends: Sends) {
        sends.iter().for_each(|(to, message)| self.send(*to, Class::Reliable, message));
    }

    /// Has the timer ring when the tree wants it.
    pub(super) fn settle_tree(&mut self) {
        if let Some(at) = self.tree.due()
            && self.tree_at.is_none_or(|planned| at < planned)
        {
            self.tree_at = Some(at);
            self.timers.add(at, Due::Tree);
        }
    }
}
