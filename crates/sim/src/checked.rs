//! Checked: a node's store, but that of each record all nodes check the signature once together. The check is slow and
//! comes to the same everywhere.

use std::collections::BTreeMap;

use fabric::net::{CoreAt, PeerId, Store};
use fabric::{Absence, Receipt, Record, Refused, Verified};
use types::{Digest, NodeName, Timestamp};

use crate::keys;

/// So many are kept.
const MAX_KEPT: usize = 50_000;

/// Records whose signatures hold.
#[derive(Default)]
pub(crate) struct Checked(BTreeMap<Digest, Verified>);

/// One node's store at a moment.
pub(crate) struct Shared<'a> {
    pub(crate) at: CoreAt<'a>,
    pub(crate) checked: &'a mut Checked,
}

impl Checked {
    fn check(&mut self, record: Record) -> Result<Verified, Refused> {
        // the id doesn't cover the signature
        if let Some(held) = self.0.get(&record.id()).filter(|held| *held.record() == record) {
            return Ok(held.clone());
        }
        let verified = record.verify(&keys::mesh())?;
        if self.0.len() >= MAX_KEPT {
            self.0.clear();
        }
        self.0.insert(verified.record().id(), verified.clone());
        Ok(verified)
    }
}

impl Store for Shared<'_> {
    fn now(&self) -> Timestamp {
        self.at.now()
    }

    fn admits(&self, name: &NodeName, peer: &PeerId) -> bool {
        self.at.admits(name, peer)
    }

    fn admitted(&self) -> usize {
        self.at.admitted()
    }

    fn admitted_keys(&self) -> Vec<PeerId> {
        self.at.admitted_keys()
    }

    fn merge(&mut self, record: Record) -> Result<Receipt, Refused> {
        self.at.take(self.checked.check(record)?)
    }

    fn encoded(&self, id: Digest) -> Option<Vec<u8>> {
        self.at.encoded(id)
    }

    fn precedence(&self, id: Digest) -> u8 {
        self.at.precedence(id)
    }

    fn edition(&self) -> u64 {
        self.at.edition()
    }

    fn ids(&self) -> Vec<Digest> {
        self.at.ids()
    }
    fn awake(&mut self, me: &NodeName) -> Option<Absence> {
        self.at.awake(me)
    }

    fn is_away(&self) -> bool {
        self.at.is_away()
    }

    fn doubts(&self, id: &Digest) -> bool {
        self.at.doubts(id)
    }

    fn doubt(&mut self, id: Digest) {
        self.at.doubt(id);
    }

    fn forget(&mut self, lacked: Vec<Digest>) -> Option<Absence> {
        self.at.forget(lacked)
    }
}
