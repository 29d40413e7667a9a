//! Comparing lists of members: a digest by buckets of keys; whoever finds a difference sends its own members of
//! those buckets and asks for the other's.
//!
//! Only the living are listed. A death spreads as news of SWIM, or is found by probing: if lists carried it, then
//! after a cut each side would first hear of the death of its own.

use foca::{Member, State};

use super::Members;
use super::up::bucket;
use crate::net::envelope::{MAX_BUCKETS, MAX_LISTED, Message};
use crate::net::peer::{Peer, PeerId};
use crate::net::store::Store;

/// From so many at once, news of members is not passed on one by one: others compare lists as well.
const MANY: usize = 16;
/// So many buckets fit into a datagram.
const MAX_SENT: usize = 64;

impl Members {
    /// What our list sums up to.
    pub(in crate::net) fn digest(&self) -> Message {
        let count = (self.up.len() / 8).next_power_of_two().clamp(1, MAX_SENT.min(MAX_BUCKETS));
        Message::Digest(self.sums(count))
    }

    /// The answer to another's digest: nothing if both are alike.
    pub(in crate::net) fn answer(&self, theirs: &[u64]) -> Vec<Message> {
        let differ: Vec<u8> = (0u8..)
            .zip(self.sums(theirs.len()).iter().zip(theirs))
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(bucket, _)| bucket)
            .collect();
        if differ.is_empty() { Vec::new() } else { self.list(theirs.len(), &differ, &differ, |_| true) }
    }

    /// Takes another's members; the answer, if one is wanted.
    pub(in crate::net) fn merge(
        &mut self,
        of: u8,
        back: &[u8],
        members: Vec<Member<Peer>>,
        store: &impl Store,
    ) -> Vec<Message> {
        let theirs: std::collections::BTreeMap<PeerId, u64> =
            members.iter().map(|member| (member.id().id, member.id().generation)).collect();
        let contested = members.iter().map(|member| self.contest(member.id())).max();
        self.contested = contested.unwrap_or_default();
        let new: Vec<Member<Peer>> = members
            .into_iter()
            .filter(|member| {
                let held = self.up.get(&member.id().id);
                member.state() != State::Down
                    && held.is_none_or(|held| foca::Identity::win_addr_conflict(member.id(), held))
                    && self.check(member.id(), store).is_ok()
            })
            .collect();
        let pass_on = new.len() <= MANY;
        drop(self.swim.apply_many(new.into_iter(), pass_on, &mut self.effects));
        self.outdo();
        if back.is_empty() {
            return Vec::new();
        }
        self.list(usize::from(of), back, &[], |peer| theirs.get(&peer.id) != Some(&peer.generation))
    }

    /// Our members of some buckets, in as many messages as it takes; the last asks `back`.
    fn list(&self, of: usize, buckets: &[u8], back: &[u8], wanted: impl Fn(&Peer) -> bool) -> Vec<Message> {
        let inside = |peer: &Peer| buckets.binary_search(&bucket(&peer.id, of)).is_ok() && wanted(peer);
        let others = self.swim.iter_members().map(|member| (member.id().clone(), member.incarnation()));
        let me = (!self.me().leaving).then(|| (self.me().clone(), 0));
        let members: Vec<Member<Peer>> = others
            .chain(me)
            .filter(|(peer, _)| inside(peer))
            .map(|(peer, incarnation)| Member::new(peer, incarnation, State::Alive))
            .collect();
        let of = u8::try_from(of).expect("buckets are few");
        let mut messages: Vec<Message> = members
            .chunks(MAX_LISTED)
            .map(|chunk| Message::Members { of, back: Vec::new(), members: chunk.to_vec() })
            .collect();
        if messages.is_empty() && !back.is_empty() {
            messages.push(Message::Members { of, back: Vec::new(), members: Vec::new() });
        }
        if let Some(Message::Members { back: last, .. }) = messages.last_mut() {
            back.clone_into(last);
        }
        messages
    }

    /// The sums of so many buckets; ourselves included.
    fn sums(&self, count: usize) -> Vec<u64> {
        self.up.sums(count, (!self.me().leaving).then(|| self.me()))
    }
}
