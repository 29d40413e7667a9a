//! Who may write, and who belongs to the mesh: asked and set.

use std::collections::{BTreeMap, BTreeSet};

use soul::Roots;
use types::{NodeName, PublicKey, Timestamp};

use crate::{Authority, Fabric, Input};

impl Fabric {
    /// From now on this says who may write without any record; what others wrote leaves the store.
    pub fn set_authority(&self, authority: Authority, now: Timestamp) {
        self.step(Input::Authority(authority), now);
    }

    /// Who may write, by what the store was given and by its records. With many nodes it is long.
    #[must_use]
    pub fn authority(&self) -> Authority {
        self.lock().core.authority().clone()
    }

    /// The mesh's roots, successions included that came as records; nothing where it was given none.
    #[must_use]
    pub fn roots(&self) -> Option<Roots> {
        self.lock().core.authority().roots.clone()
    }

    /// Whose plans are obeyed.
    #[must_use]
    pub fn operators(&self) -> BTreeSet<PublicKey> {
        self.lock().core.authority().operators.clone()
    }

    /// Every node that was let in and isn't revoked, whether it is there or not.
    #[must_use]
    pub fn members(&self) -> BTreeMap<NodeName, PublicKey> {
        self.lock().core.authority().nodes.clone()
    }

    /// The keys of nodes that operators revoked.
    #[must_use]
    pub fn revoked(&self) -> BTreeSet<PublicKey> {
        self.lock().core.revoked().clone()
    }

    /// The key of one member.
    #[must_use]
    pub fn member(&self, name: &NodeName) -> Option<PublicKey> {
        self.lock().core.authority().nodes.get(name).copied()
    }
}
