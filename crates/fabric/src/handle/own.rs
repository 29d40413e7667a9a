//! What a node says about itself: numbered, signed with the node's key and taken in one go.
//!
//! These records are not waited for: after a crash the node finds out anew what is true of it. Saying again
//! what is said already makes no record.

use std::time::Duration;

use genome::{Endpoint, Member, Node};
use serde::Serialize;
use soul::Chain;
use types::{AppName, Namespace, NodeName, ReplicaName, Signer, Timestamp};

use crate::{
    Draft, DraftError, Fabric, Key, Kind, Owner, Receipt, RecordName, Refused, Seen, TOMBSTONE_LIFE,
};

/// A node that has more tombstones than this gives new ones a short life, so that a replica that crashes
/// for weeks doesn't use up what a node may hold.
const MANY_TOMBSTONES: usize = 1024;
/// The short life.
const SHORT_LIFE: Duration = Duration::from_secs(3600);

impl Fabric {
    /// Publishes one replica of the node that `node_key` belongs to, over what was said of it before.
    pub fn register_endpoint(
        &self,
        endpoint: &Endpoint,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Receipt, Refused> {
        let Endpoint { app_name, node_id, replica, .. } = endpoint;
        let name = RecordName::of_endpoint(app_name, node_id, replica);
        self.say(Kind::Endpoint, node_id, name, Some(json(endpoint)?), node_key, now)
    }

    /// Takes one replica back; nothing there is fine.
    pub fn remove_endpoint(
        &self,
        app: &AppName,
        node: &NodeName,
        replica: &ReplicaName,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Option<Receipt>, Refused> {
        let name = RecordName::of_endpoint(app, node, replica);
        self.unsay(Kind::Endpoint, node, name, node_key, now)
    }

    /// Publishes a node's proof that it was let in under this name: before all else it says, and again after each
    /// renewal. Refused as long as another node has the name, and when the key was revoked.
    pub fn join_as(
        &self,
        name: &NodeName,
        chain: &Chain,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Receipt, Refused> {
        let member = Member { node_id: name.clone(), chain: chain.to_pem() };
        self.say(Kind::Member, name, RecordName::of_node(name), Some(json(&member)?), node_key, now)
    }

    /// Publishes a node's account of itself.
    pub fn publish_node(
        &self,
        node: &Node,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Receipt, Refused> {
        let name = RecordName::of_node(&node.node_id);
        self.say(Kind::Node, &node.node_id, name, Some(json(node)?), node_key, now)
    }

    /// Takes a node's account of itself back: it leaves.
    pub fn remove_node(
        &self,
        node: &NodeName,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Option<Receipt>, Refused> {
        self.unsay(Kind::Node, node, RecordName::of_node(node), node_key, now)
    }

    /// Publishes what a node says of an app.
    pub fn say_of<T: Seen>(
        &self,
        seen: &T,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Receipt, Refused> {
        let (app, node) = seen.place();
        self.say(T::KIND, node, RecordName::of_observed(app, node), Some(json(seen)?), node_key, now)
    }

    /// Takes what a node said of an app back; nothing there is fine.
    pub fn unsay_of<T: Seen>(
        &self,
        app: &AppName,
        node: &NodeName,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Option<Receipt>, Refused> {
        self.unsay(T::KIND, node, RecordName::of_observed(app, node), node_key, now)
    }

    fn unsay(
        &self,
        kind: Kind,
        node: &NodeName,
        name: RecordName,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Option<Receipt>, Refused> {
        let key = own_key(kind.clone(), node, name.clone());
        let said = self.lock().core.get(&key).is_some_and(|record| record.payload().is_some());
        if !said {
            return Ok(None);
        }
        self.say(kind, node, name, None, node_key, now).map(Some)
    }

    /// Says `payload`, or takes back what was said.
    fn say(
        &self,
        kind: Kind,
        node: &NodeName,
        name: RecordName,
        payload: Option<Vec<u8>>,
        node_key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Receipt, Refused> {
        let key = own_key(kind, node, name);
        let in_turn = self.shared.numbering.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (order, tombstones) = {
            let core = &self.lock().core;
            if let Some(held) = core.get(&key)
                && held.payload() == payload.as_deref()
                && held.writer() == node_key.public_key()
            {
                return Ok(Receipt { key, order: held.order(), id: held.id(), new: false });
            }
            (core.next_order(node, &node_key.public_key()), core.usage(node).0)
        };
        let life = if tombstones < MANY_TOMBSTONES { TOMBSTONE_LIFE } else { SHORT_LIFE };
        let expires = payload.is_none().then(|| now + life);
        let draft = Draft { mesh: self.mesh(), key, order, expires, payload };
        let (receipt, _) = self.write(draft.sign(node_key)?, now)?;
        drop(in_turn);
        self.shared.log.relieve();
        Ok(receipt)
    }
}

fn own_key(kind: Kind, node: &NodeName, name: RecordName) -> Key {
    Key { kind, namespace: Namespace::default(), owner: Owner::Node(node.clone()), name }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, DraftError> {
    serde_json::to_vec(value).map_err(|e| DraftError::Json(e.to_string()))
}
