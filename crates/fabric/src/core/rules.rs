//! Rules: who may write, worked out from the records that say so.
//!
//! | kind | who may write it |
//! |---|---|
//! | `root` | the root to which its own successions lead, if they go on from those that are known |
//! | `operator`, `issuer` | that root; an earlier one, if the `root` record keeps the record |
//! | `revoke` and all else of operators | an operator; a removed one, if its removal keeps the record |
//! | `member` | the node's own key, by a chain from any root the mesh had; the key isn't revoked |
//! | all else of nodes | the key that the node's `member` record proves |
//!
//! A row depends on rows above it only, and on no clock: a membership's end matters to strangers at the door, not to
//! what is known. So the records alone decide, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};

use genome::Operator;
use soul::{Refusal, Roots};
use types::{Digest, NodeName, PublicKey};

use crate::value::{RootPapers, Value};
use crate::{Authority, Membership, Owner, Record, Refused, Verified};

/// What is known of who may write.
#[derive(Debug)]
pub(super) struct Rules {
    /// What holds without any record.
    base: Authority,
    /// What holds with those that are here.
    effective: Authority,
    /// Records of earlier roots that stay valid.
    kept_by_root: BTreeSet<Digest>,
    /// What stays valid of operators who are none any more.
    removed: BTreeMap<PublicKey, BTreeSet<Digest>>,
    revoked: BTreeSet<PublicKey>,
}

impl Rules {
    pub(super) fn new(base: Authority) -> Self {
        Self {
            effective: base.clone(),
            base,
            kept_by_root: BTreeSet::new(),
            removed: BTreeMap::new(),
            revoked: BTreeSet::new(),
        }
    }

    pub(super) const fn effective(&self) -> &Authority {
        &self.effective
    }

    pub(super) const fn revoked(&self) -> &BTreeSet<PublicKey> {
        &self.revoked
    }

    /// Whether the writer of a record may write it.
    pub(super) fn permits(&self, verified: &Verified) -> Result<(), Refused> {
        let record = verified.record();
        let (writer, id) = (record.writer(), record.id());
        let may = match (verified.value(), &record.key().owner) {
            (Value::Root(papers), _) => self.follow(papers, &writer).is_some(),
            (Value::Operator(_) | Value::Issuer(_), _) => {
                self.root().is_some_and(|root| root == writer) || self.kept_by_root.contains(&id)
            }
            (Value::Member(membership), _) => return self.admits(record, membership),
            (_, Owner::Operator) => {
                self.effective.operators.contains(&writer)
                    || self.removed.get(&writer).is_some_and(|keeps| keeps.contains(&id))
            }
            (_, Owner::Node(node)) => self.effective.nodes.get(node) == Some(&writer),
        };
        if may { Ok(()) } else { Err(unauthorised(record)) }
    }

    /// The roots as they are after a `root` record, if its writer is the last of them.
    ///
    /// Its successions must lead there from the genesis, so that everybody can follow, and must not contradict
    /// those that are known: of two that a recovery key signed apart, whoever has one keeps it (see [`Roots`]).
    fn follow(&self, papers: &RootPapers, writer: &PublicKey) -> Option<Roots> {
        let mut known = self.effective.roots.clone()?;
        let mut alone = Roots::new(*known.genesis());
        for succession in &papers.successions {
            if alone.apply(succession) != Ok(true) {
                return None;
            }
            known.apply(succession).ok()?;
        }
        (alone.root() == *writer && known.root() == *writer).then_some(known)
    }

    fn root(&self) -> Option<PublicKey> {
        self.effective.roots.as_ref().map(Roots::root)
    }

    /// Whether a node proves that it is a member, as [`soul::Chain::verify_known`] asks; its signatures were checked
    /// when the record was read.
    fn admits(&self, record: &Record, membership: &Membership) -> Result<(), Refused> {
        let Membership { member, chain } = membership;
        let Some(roots) = &self.effective.roots else { return Err(unauthorised(record)) };
        let refuse = |reason: String| Err(Refused::NotAdmitted { key: record.key().to_string(), reason });
        if record.writer() != member.key {
            return Err(unauthorised(record));
        }
        if !roots.was_root(&chain.issuer.signer) {
            let refusal = Refusal::Root { issuer: member.issuer, root: chain.issuer.signer };
            return refuse(refusal.to_string());
        }
        // Its own key only: a revoked issuer is turned away at every door, and so is whom it lets in from then on,
        // but whom it let in before is a member until revoked itself. Or the mesh would end with its first issuer.
        if self.revoked.contains(&member.key) {
            return refuse(Refusal::Revoked(soul::Part::Membership, member.key).to_string());
        }
        match self.base.nodes.get(&member.name) {
            Some(holder) if *holder != member.key && !self.revoked.contains(holder) => {
                refuse(format!("another node, which isn't revoked, has the name {}", member.name))
            }
            _ => Ok(()),
        }
    }

    /// From now on `base` holds without any record.
    pub(super) fn rebase(&mut self, base: Authority) {
        self.base = base;
    }

    /// Goes by this `root` record, or by none.
    pub(super) fn set_root(&mut self, holding: Option<&Verified>) {
        self.effective.roots.clone_from(&self.base.roots);
        self.kept_by_root.clear();
        let Some(holding) = holding else { return };
        if let Value::Root(papers) = holding.value()
            && let Some(roots) = self.follow(papers, &holding.record().writer())
        {
            self.effective.roots = Some(roots);
            self.kept_by_root.extend(&papers.change.keeps);
        }
    }

    /// Goes by these `operator` records; whether that changes anything.
    pub(super) fn set_operators<'a>(&mut self, holding: impl Iterator<Item = &'a Verified>) -> bool {
        let mut operators = self.base.operators.clone();
        let mut removed = BTreeMap::new();
        for verified in holding {
            let Value::Operator(operator) = verified.value() else { continue };
            let Operator { public_key, keeps, .. } = &**operator;
            if operator.removed {
                operators.remove(public_key);
                removed.insert(*public_key, keeps.iter().copied().collect());
            } else {
                operators.insert(*public_key);
            }
        }
        let changed = operators != self.effective.operators || removed != self.removed;
        self.effective.operators = operators;
        self.removed = removed;
        changed
    }

    /// Goes by these `revoke` records.
    pub(super) fn set_revoked<'a>(&mut self, holding: impl Iterator<Item = &'a Verified>) {
        let keys = holding.filter_map(|verified| match verified.value() {
            Value::Revoke(revoke) => Some(revoke.public_key),
            _ => None,
        });
        self.revoked = keys.collect();
    }

    /// Goes by one more `revoke` record.
    pub(super) fn revoke(&mut self, key: PublicKey) {
        self.revoked.insert(key);
    }

    /// Whether a node of the base has this key.
    pub(super) fn is_based(&self, key: &PublicKey) -> bool {
        self.base.nodes.values().any(|node| node == key)
    }

    /// Goes by these `member` records; whether that changes anything.
    pub(super) fn set_nodes<'a>(&mut self, holding: impl Iterator<Item = &'a Verified>) -> bool {
        let members = holding.filter_map(|verified| match verified.value() {
            Value::Member(of) => Some((of.member.name.clone(), of.member.key)),
            _ => None,
        });
        let based = self.base.nodes.iter().filter(|(_, key)| !self.revoked.contains(key));
        let nodes = members.chain(based.map(|(name, key)| (name.clone(), *key))).collect();
        let changed = nodes != self.effective.nodes;
        self.effective.nodes = nodes;
        changed
    }

    /// Goes by one more `member` record; whether the name was another key's.
    pub(super) fn add_node(&mut self, name: &NodeName, key: PublicKey) -> bool {
        self.effective.nodes.insert(name.clone(), key).is_some_and(|before| before != key)
    }
}

fn unauthorised(record: &Record) -> Refused {
    Refused::Unauthorised {
        key: record.key().to_string(),
        owner: record.key().owner.to_string(),
        writer: record.writer().fingerprint(),
    }
}
