//! What the network's side asks of the shared store.

use types::{Digest, NodeName, Timestamp};

use crate::net::PeerId;
use crate::{Absence, Fabric, Input, Output, Receipt, Record, Refused};

impl Fabric {
    /// Takes one record of a peer, verified outside the lock. Not waited for the disk: see [`Fabric::flush`].
    pub fn merge_one(&self, record: Record, now: Timestamp) -> Result<Receipt, Refused> {
        let receipt = self.take_in(record, now);
        self.shared.log.relieve();
        receipt
    }

    /// The record with this id in its wire form, a tombstone or a conflicting one included.
    #[must_use]
    pub fn encoded(&self, id: Digest) -> Option<Vec<u8>> {
        self.lock().core.by_id(id).map(Record::encode)
    }

    pub(crate) fn precedence(&self, id: Digest) -> u8 {
        self.lock().core.precedence(id)
    }

    /// The ids of all records, ascending.
    #[must_use]
    pub fn ids(&self) -> Vec<Digest> {
        self.lock().core.ids().collect()
    }

    /// Changes whenever a record enters or leaves.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.lock().core.edition()
    }

    /// Takes one step that concerns this node's absence, and tells what came of it.
    pub(crate) fn absence(&self, input: Input, now: Timestamp) -> Option<Absence> {
        let (outputs, _) = self.step(input, now);
        self.shared.log.relieve();
        outputs.into_iter().find_map(|output| match output {
            Output::Absence(absence) => Some(absence),
            _ => None,
        })
    }

    pub(crate) fn is_away(&self) -> bool {
        self.lock().core.is_away()
    }

    pub(crate) fn doubts(&self, id: &Digest) -> bool {
        self.lock().core.doubts(id)
    }

    pub(crate) fn admits(&self, name: &NodeName, peer: &PeerId) -> bool {
        crate::net::admits(self.lock().core.authority(), name, peer)
    }

    pub(crate) fn admitted(&self) -> usize {
        self.lock().core.authority().nodes.len()
    }

    pub(crate) fn admitted_keys(&self) -> Vec<PeerId> {
        crate::net::keys(self.lock().core.authority())
    }
}
