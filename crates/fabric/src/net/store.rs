//! Store: what the network needs of the record store. The daemon's shared handle and the bare core are both one.

use types::{Digest, NodeName, Timestamp};

use super::peer::PeerId;
use crate::{Absence, Authority, Core, Fabric, Input, Output, Receipt, Record, Refused, Verified};

/// The records, at one moment.
pub trait Store {
    /// The wall clock, against which times in messages are bounded; it decides nothing else.
    fn now(&self) -> Timestamp;
    /// Whether the mesh knows this key as the node of this name.
    fn admits(&self, name: &NodeName, peer: &PeerId) -> bool;
    /// How many keys the mesh knows as nodes.
    fn admitted(&self) -> usize;
    /// These keys.
    fn admitted_keys(&self) -> Vec<PeerId>;
    /// Verifies a record and takes it in.
    fn merge(&mut self, record: Record) -> Result<Receipt, Refused>;
    /// The record with this id in its wire form.
    fn encoded(&self, id: Digest) -> Option<Vec<u8>>;
    /// The place of the record with this id in a batch: what says who may write stands before what they wrote.
    fn precedence(&self, id: Digest) -> u8;
    /// Changes whenever a record enters or leaves.
    fn edition(&self) -> u64;
    /// The ids of all records, ascending.
    fn ids(&self) -> Vec<Digest>;
    /// Notes that this node runs; whether it was away, or has been back for so long that it isn't any more.
    fn awake(&mut self, me: &NodeName) -> Option<Absence>;
    /// Whether this node was away, and has met nobody since who stayed.
    fn is_away(&self) -> bool;
    /// Whether it is in doubt that the record with this id holds still.
    fn doubts(&self, id: &Digest) -> bool;
    /// Doubts a record, as whoever gave it does.
    fn doubt(&mut self, id: Digest);
    /// Forgets what is in doubt of these, and doubts nothing any more.
    fn forget(&mut self, lacked: Vec<Digest>) -> Option<Absence>;
}

/// The shared handle at a moment; syncing to disk is up to who drives.
pub struct FabricAt<'a>(pub &'a Fabric, pub Timestamp);

/// The bare core at a moment. What it wants written is appended to `outputs`, in order.
pub struct CoreAt<'a> {
    /// The store.
    pub core: &'a mut Core,
    /// The wall clock.
    pub now: Timestamp,
    /// Where the core's outputs go.
    pub outputs: &'a mut Vec<Output>,
}

pub(crate) fn admits(authority: &Authority, name: &NodeName, peer: &PeerId) -> bool {
    authority.nodes.get(name).is_some_and(|key| key.as_bytes() == peer.as_bytes())
}

pub(crate) fn keys(authority: &Authority) -> Vec<PeerId> {
    authority.nodes.values().map(|key| PeerId::from(*key)).collect()
}

impl Store for FabricAt<'_> {
    fn now(&self) -> Timestamp {
        self.1
    }

    fn admits(&self, name: &NodeName, peer: &PeerId) -> bool {
        self.0.admits(name, peer)
    }

    fn admitted(&self) -> usize {
        self.0.admitted()
    }

    fn admitted_keys(&self) -> Vec<PeerId> {
        self.0.admitted_keys()
    }

    fn merge(&mut self, record: Record) -> Result<Receipt, Refused> {
        self.0.merge_one(record, self.1)
    }

    fn encoded(&self, id: Digest) -> Option<Vec<u8>> {
        self.0.encoded(id)
    }

    fn precedence(&self, id: Digest) -> u8 {
        self.0.precedence(id)
    }

    fn edition(&self) -> u64 {
        self.0.edition()
    }

    fn ids(&self) -> Vec<Digest> {
        self.0.ids()
    }

    fn awake(&mut self, me: &NodeName) -> Option<Absence> {
        self.0.absence(Input::Awake(me.clone()), self.1)
    }

    fn is_away(&self) -> bool {
        self.0.is_away()
    }

    fn doubts(&self, id: &Digest) -> bool {
        self.0.doubts(id)
    }

    fn doubt(&mut self, id: Digest) {
        self.0.absence(Input::Doubt(id), self.1);
    }

    fn forget(&mut self, lacked: Vec<Digest>) -> Option<Absence> {
        self.0.absence(Input::Forget(lacked), self.1)
    }
}

impl CoreAt<'_> {
    /// [`Store::merge`] of a record that was verified before.
    pub fn take(&mut self, record: Verified) -> Result<Receipt, Refused> {
        let mut answer = None;
        for output in self.core.handle(Input::Merge(record), self.now) {
            match output {
                Output::Accepted(receipt) => answer = Some(Ok(receipt)),
                Output::Refused(reason) => answer = Some(Err(reason)),
                other => self.outputs.push(other),
            }
        }
        answer.expect("the core answers every record")
    }

    fn absence(&mut self, input: Input) -> Option<Absence> {
        let mut told = None;
        for output in self.core.handle(input, self.now) {
            match output {
                Output::Absence(absence) => told = Some(absence),
                other => self.outputs.push(other),
            }
        }
        told
    }
}

impl Store for CoreAt<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn admits(&self, name: &NodeName, peer: &PeerId) -> bool {
        admits(self.core.authority(), name, peer)
    }

    fn admitted(&self) -> usize {
        self.core.authority().nodes.len()
    }

    fn admitted_keys(&self) -> Vec<PeerId> {
        keys(self.core.authority())
    }

    fn merge(&mut self, record: Record) -> Result<Receipt, Refused> {
        self.take(record.verify(&self.core.mesh())?)
    }

    fn encoded(&self, id: Digest) -> Option<Vec<u8>> {
        self.core.by_id(id).map(Record::encode)
    }

    fn precedence(&self, id: Digest) -> u8 {
        self.core.precedence(id)
    }

    fn edition(&self) -> u64 {
        self.core.edition()
    }

    fn ids(&self) -> Vec<Digest> {
        self.core.ids().collect()
    }

    fn awake(&mut self, me: &NodeName) -> Option<Absence> {
        self.absence(Input::Awake(me.clone()))
    }

    fn is_away(&self) -> bool {
        self.core.is_away()
    }

    fn doubts(&self, id: &Digest) -> bool {
        self.core.doubts(id)
    }

    fn doubt(&mut self, id: Digest) {
        self.absence(Input::Doubt(id));
    }

    fn forget(&mut self, lacked: Vec<Digest>) -> Option<Absence> {
        self.absence(Input::Forget(lacked))
    }
}
