//! What the network's side asks of the shared store.

use types::{Digest, NodeName, Timestamp};

use crate::net::PeerId;
use crate::{Fabric, Receipt, Record, Refused};

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
