//! What a node and an issuer say to each other: one request, one answer, nothing else.
//!
//! Both sides are in an encrypted channel in which each has proved its own Ed25519 key; the forms here say
//! nothing about who is speaking.
//!
//! ```text
//! request     u16 version 1, u8 1, key ticket, name, 64 bytes proof, extensions     join
//!           | u16 version 1, u8 2, chain, extensions                                renew
//! answer      u16 version 1, u8 1, chain, genesis, u8 n, n successions,
//!                            u16 m, m keys of operators (rising), extensions        welcome
//!           | u16 version 1, u8 2, u8 reason, extensions                            refused
//! ```
//! (Parts: see [`crate::wire`].) Extensions of a message go no further, and what may be ignored in them is.

use std::collections::BTreeSet;

use types::{NodeName, PublicKey, Timestamp};

use crate::wire::{self, FormError, Reader};
use crate::{
    Chain, Genesis, JoinRequest, MAX_SUCCESSIONS, Member, Refusal, Roots, Succession, SuccessionError,
};

/// No request is longer, in bytes.
pub const MAX_REQUEST: usize = 4 * 1024;
/// No answer is longer, in bytes.
pub const MAX_ANSWER: usize = 48 * 1024;
/// The most operators of a mesh that an answer can name.
pub const MAX_OPERATORS: usize = 256;

/// What a node asks an issuer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To be let in, by a ticket of that issuer.
    Join(JoinRequest),
    /// A new membership under the same name; any issuer gives it.
    Renew(Box<Chain>),
}

/// What an issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Welcome(Box<Welcome>),
    /// No.
    Refused(Reason),
}

/// All that a new node needs to be one, and a renewed one to stay one. Believe it by [`Welcome::accept`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The node's new membership.
    pub chain: Chain,
    /// What the mesh was founded on.
    pub genesis: Genesis,
    /// Which roots came after, oldest first.
    pub successions: Vec<Succession>,
    /// Whose records are obeyed. Nothing here vouches for it but the issuer's word, over the channel.
    pub operators: BTreeSet<PublicKey>,
}

/// Why an issuer refuses, for the logs of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No such ticket in the issuer's book.
    #[error("the issuer knows no such ticket: it was removed, expired long ago, or is of another issuer")]
    Unknown,
    /// The proof doesn't hold.
    #[error("the ticket's proof doesn't hold for this node, this name and this issuer")]
    Proof,
    /// Too late.
    #[error("the ticket has expired; ask for a new one")]
    TicketExpired,
    /// Somebody else was let in by it.
    #[error("the ticket was used by another node")]
    Used,
    /// The same node, under another name.
    #[error("this node has used the ticket under another name; ask again under that one")]
    OtherName,
    /// A node of that name is there already.
    #[error("another node has that name already")]
    NameTaken,
    /// An operator revoked the node's key.
    #[error("the node's key was revoked")]
    Revoked,
    /// A renewal by somebody who isn't a member, or shows another's chain.
    #[error("the node isn't a member here, or its membership expired and it isn't remembered; use a ticket")]
    NotAMember,
    /// The issuer can't issue: its certificate is over, or its disk is full. Its log says which.
    #[error("the issuer can't let anybody in at the moment (its log says why); ask another one")]
    CannotIssue,
    /// A reason of a later version.
    #[error("the issuer gives a reason that only a newer program understands ({0})")]
    Other(u8),
}

/// Why a node doesn't believe the welcome it got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WelcomeError {
    /// It leads into another mesh than the one asked for.
    #[error("accept the membership: it is of a mesh with another genesis")]
    Genesis,
    /// Its successions contradict what is known.
    #[error("accept the membership: {0}")]
    Succession(#[from] SuccessionError),
    /// Its chain isn't good.
    #[error("accept the membership: {0}")]
    Chain(#[from] Refusal),
    /// It is for another key or name.
    #[error("accept the membership: it is for {name} ({key})")]
    NotMine {
        /// Whose it is.
        key: PublicKey,
        /// Under which name.
        name: NodeName,
    },
}

impl Welcome {
    /// What the node with this key and name may believe of it: the roots from now on, and what it is now.
    ///
    /// `roots` are those it knew: after a ticket, [`Roots::new`] of the ticket's genesis. An issuer that lags
    /// behind can't take a succession back.
    pub fn accept(
        &self,
        roots: &Roots,
        key: &PublicKey,
        name: &NodeName,
        now: Timestamp,
    ) -> Result<(Roots, Member), WelcomeError> {
        if self.genesis != *roots.genesis() {
            return Err(WelcomeError::Genesis);
        }
        let mut roots = roots.clone();
        for succession in &self.successions {
            roots.apply(succession)?;
        }
        let member = self.chain.verify(&roots, now)?;
        if member.key != *key || member.name != *name {
            return Err(WelcomeError::NotMine { key: member.key, name: member.name });
        }
        Ok((roots, member))
    }
}

impl Request {
    /// Its one binary form, at most [`MAX_REQUEST`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_version(&mut out);
        match self {
            Self::Join(join) => {
                out.push(1);
                out.extend_from_slice(join.ticket.as_bytes());
                wire::put_name(&mut out, &join.name);
                out.extend_from_slice(join.proof.as_bytes());
            }
            Self::Renew(chain) => {
                out.push(2);
                chain.put(&mut out);
            }
        }
        wire::put_extensions(&mut out, &[]);
        out
    }

    /// Reads the binary form, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        wire::whole(bytes, |reader| {
            reader.version()?;
            let request = match reader.u8("kind")? {
                1 => {
                    let (ticket, name) = (reader.key("ticket")?, reader.name()?);
                    Self::Join(JoinRequest { ticket, name, proof: reader.signature()? })
                }
                2 => Self::Renew(Box::new(Chain::read(reader)?)),
                _ => return Err(FormError::Field("kind")),
            };
            reader.extensions()?;
            Ok(request)
        })
    }
}

impl Answer {
    /// Its one binary form, at most [`MAX_ANSWER`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_version(&mut out);
        match self {
            Self::Welcome(welcome) => {
                out.push(1);
                welcome.put(&mut out);
            }
            Self::Refused(reason) => out.extend_from_slice(&[2, reason.code()]),
        }
        wire::put_extensions(&mut out, &[]);
        out
    }

    /// Reads the binary form, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        wire::whole(bytes, |reader| {
            reader.version()?;
            let answer = match reader.u8("kind")? {
                1 => Self::Welcome(Box::new(Welcome::read(reader)?)),
                2 => Self::Refused(Reason::of_code(reader.u8("reason")?)),
                _ => return Err(FormError::Field("kind")),
            };
            reader.extensions()?;
            Ok(answer)
        })
    }
}

impl Welcome {
    fn put(&self, out: &mut Vec<u8>) {
        self.chain.put(out);
        self.genesis.put(out);
        out.push(u8::try_from(self.successions.len()).expect("at most 32 are ever applied"));
        self.successions.iter().for_each(|succession| succession.put(out));
        out.extend_from_slice(
            &u16::try_from(self.operators.len()).expect("checked by the issuer").to_be_bytes(),
        );
        self.operators.iter().for_each(|key| out.extend_from_slice(key.as_bytes()));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let (chain, genesis) = (Chain::read(reader)?, Genesis::read(reader)?);
        let count = usize::from(reader.u8("successions")?);
        if count > MAX_SUCCESSIONS {
            return Err(FormError::Field("successions"));
        }
        let successions = (0..count).map(|_| Succession::read(reader)).collect::<Result<_, _>>()?;
        let count = usize::from(reader.u16("operators")?);
        if count > MAX_OPERATORS {
            return Err(FormError::Field("operators"));
        }
        let mut operators = BTreeSet::new();
        for _ in 0..count {
            let key = reader.key("operators")?;
            if operators.last().is_some_and(|last| *last >= key) {
                return Err(FormError::Field("operators"));
            }
            operators.insert(key);
        }
        Ok(Self { chain, genesis, successions, operators })
    }
}

/// The codes on the wire, for ever.
const CODES: [(u8, Reason); 9] = [
    (1, Reason::Unknown),
    (2, Reason::Proof),
    (3, Reason::TicketExpired),
    (4, Reason::Used),
    (5, Reason::OtherName),
    (6, Reason::NameTaken),
    (7, Reason::Revoked),
    (8, Reason::NotAMember),
    (9, Reason::CannotIssue),
];

impl Reason {
    fn code(self) -> u8 {
        match self {
            Self::Other(code) => code,
            known => CODES.iter().find(|(_, reason)| *reason == known).map_or(0, |(code, _)| *code),
        }
    }

    fn of_code(code: u8) -> Self {
        CODES.iter().find(|(known, _)| *known == code).map_or(Self::Other(code), |(_, reason)| *reason)
    }
}

#[cfg(test)]
mod tests;
