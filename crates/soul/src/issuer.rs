//! An issuer at work: it signs memberships, for whoever redeems a ticket and for members that renew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use types::{NodeName, PublicKey, SignError, Signer, Timestamp};

use crate::admission::MAX_OPERATORS;
use crate::{Answer, Certificate, Chain, FileError, Reason, Refusal, Role, Roots, Welcome};

/// What an issuer goes by, as it stands at this moment.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The node's key.
    pub key: &'a dyn Signer,
    /// What the root signed for that key.
    pub certificate: &'a Certificate,
    /// The mesh's roots.
    pub roots: &'a Roots,
    /// Every node that was let in and isn't removed, whether it is there or not.
    pub members: &'a BTreeMap<NodeName, PublicKey>,
    /// The keys that operators revoked.
    pub revoked: &'a BTreeSet<PublicKey>,
    /// The keys of operators, for new nodes.
    pub operators: &'a BTreeSet<PublicKey>,
    /// How long the memberships it signs hold: [`MEMBERSHIP_LIFE`](crate::MEMBERSHIP_LIFE) unless there is a reason, at
    /// most [`MAX_MEMBERSHIP_LIFE`](crate::MAX_MEMBERSHIP_LIFE).
    pub life: Duration,
}

/// Why something could not be signed: never the fault of whoever asked. Log it, and answer
/// [`Reason::CannotIssue`].
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// This node isn't an issuer, or no longer.
    #[error("let a node in: the certificate of this issuer is not good: {0}")]
    Certificate(Refusal),
    /// The certificate is for another node.
    #[error("let a node in: the issuer's certificate is for another key, {0}")]
    NotOurs(PublicKey),
    /// More than an answer has room for.
    #[error("let a node in: the mesh has {0} operators, at most {MAX_OPERATORS} are supported")]
    TooManyOperators(usize),
    /// A certificate that would never hold.
    #[error("sign a certificate: it would end before it starts")]
    NoLife,
    /// The system's random source failed.
    #[error("sign a certificate: the system's random source failed: {0}")]
    Random(String),
    /// The key could not sign.
    #[error("sign: {0}")]
    Sign(#[from] SignError),
    /// The ticket book could not be used.
    #[error(transparent)]
    Book(#[from] FileError),
}

impl Issuer<'_> {
    /// Answers a member that shows the chain it has and asks for the next.
    ///
    /// `peer` is the key proved by the channel. A member that is remembered may come at any time, one that
    /// isn't (this issuer may not have heard of it) as long as its chain holds.
    pub fn renew(&self, chain: &Chain, peer: &PublicKey, now: Timestamp) -> Result<Answer, IssueError> {
        let known = |name: &NodeName| self.members.get(name) == Some(peer);
        let member = match chain.verify_known(self.roots) {
            Ok(member) if member.key == *peer => member,
            _ => return Ok(Answer::Refused(Reason::NotAMember)),
        };
        if self.revoked.contains(peer) {
            return Ok(Answer::Refused(Reason::Revoked));
        }
        let believed = || chain.verify(self.roots, now).is_ok() && chain.check_revoked(self.revoked).is_ok();
        if !known(&member.name) && !believed() {
            return Ok(Answer::Refused(Reason::NotAMember));
        }
        if self.is_taken(&member.name, peer) {
            return Ok(Answer::Refused(Reason::NameTaken));
        }
        Ok(Answer::Welcome(Box::new(self.welcome(peer, member.name, now)?)))
    }

    /// Whether another node than `key` has that name.
    pub(crate) fn is_taken(&self, name: &NodeName, key: &PublicKey) -> bool {
        self.members.get(name).is_some_and(|holder| holder != key)
    }

    /// A membership for the issuer's own node, which needs nobody's leave: the first of a new mesh has none to ask.
    pub fn for_itself(&self, name: NodeName, now: Timestamp) -> Result<Welcome, IssueError> {
        self.welcome(&self.key.public_key(), name, now)
    }

    /// A new membership for that key and name, and what comes with it. The caller has decided that it may.
    pub(crate) fn welcome(
        &self,
        key: &PublicKey,
        name: NodeName,
        now: Timestamp,
    ) -> Result<Welcome, IssueError> {
        let ours = self.key.public_key();
        if self.certificate.subject != ours {
            return Err(IssueError::NotOurs(self.certificate.subject));
        }
        if self.operators.len() > MAX_OPERATORS {
            return Err(IssueError::TooManyOperators(self.operators.len()));
        }
        let dates = (now, now + self.life);
        let membership = Certificate::sign(self.roots.mesh(), Role::Member(name), *key, self.key, dates)?;
        let chain = Chain { membership, issuer: self.certificate.clone() };
        // Checked as a stranger would: what nobody believes is not handed out, and uses up no ticket.
        chain.verify(self.roots, now).map_err(IssueError::Certificate)?;
        chain.check_revoked(self.revoked).map_err(IssueError::Certificate)?;
        Ok(Welcome {
            chain,
            genesis: *self.roots.genesis(),
            successions: self.roots.successions().to_vec(),
            operators: self.operators.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
