//! The door: which peer may speak what with this node.
//!
//! Asked for each stream and each datagram, so it answers from a copy of what the records say, renewed when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use fabric::Fabric;
use fabric::net::Input;
use hyphae::{Gate, PING};
use tokio::sync::mpsc;
use types::{NodeName, PublicKey};

use super::{ADMIT, API, GOSSIP, JOIN};
use crate::tunnel::Tunnels;

/// Who is known, as the records say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    members: BTreeMap<PublicKey, NodeName>,
    operators: BTreeSet<PublicKey>,
}

impl Door {
    /// Takes over what the records say now.
    pub(crate) fn refresh(&self, fabric: &Fabric) {
        let authority = fabric.authority();
        let members = authority.nodes.iter().map(|(name, key)| (*key, name.clone())).collect();
        let known = Known { members, operators: authority.operators.clone() };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The name of the member with this key.
    pub(crate) fn name_of(&self, key: &PublicKey) -> Option<NodeName> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).members.get(key).cloned()
    }

    fn admits(&self, peer: &PublicKey, protocol: &str) -> Result<(), String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let member = known.members.contains_key(peer);
        let operator = known.operators.contains(peer);
        match protocol {
            JOIN | ADMIT => Ok(()),
            PING if member || operator => Ok(()),
            API if operator => Ok(()),
            API => Err("only an operator of this mesh may use the API".to_owned()),
            _ if member => Ok(()),
            _ => Err("this mesh doesn't know you: join it with a ticket".to_owned()),
        }
    }
}

/// The door with a bell: the network core hears of messages that were lost.
pub(super) struct Doorkeeper {
    pub(super) door: Door,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) tunnels: Tunnels,
}

impl Gate for Doorkeeper {
    fn admits(&self, peer: &PublicKey, protocol: &str) -> Result<(), String> {
        self.door.admits(peer, protocol)
    }

    fn lost(&self, peer: &PublicKey, protocol: &str) {
        if protocol == GOSSIP {
            // A full queue means that we are late; then reconciliation mends it.
            let _ = self.inputs.try_send(Input::Unreachable((*peer).into()));
        }
    }

    fn retired(&self, peer: &PublicKey) {
        self.tunnels.renew(peer);
    }
}
