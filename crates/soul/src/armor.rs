//! Papers as text that can be carried, shown and pasted: PEM blocks (RFC 7468), one after the other.
//!
//! | text | its blocks |
//! |---|---|
//! | a certificate | `MYCELIUM CERTIFICATE` |
//! | a chain | two of them: the membership, then its issuer's |
//! | a succession | `MYCELIUM SUCCESSION` |
//! | roots | `MYCELIUM GENESIS`, then each `MYCELIUM SUCCESSION`, oldest first |
//!
//! In each block is the binary form. None of it is secret. There is one text for each of them: nothing between
//! the blocks, no comments; only white space around the whole is passed over.

use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, decode_vec, encode_string};

use crate::wire::FormError;
use crate::{Certificate, Chain, Genesis, Roots, Succession, SuccessionError};

/// More text than [`crate::MAX_SUCCESSIONS`] of the longest have.
pub(crate) const MAX_TEXT: usize = 64 * 1024;

const CERTIFICATE: &str = "MYCELIUM CERTIFICATE";
const SUCCESSION: &str = "MYCELIUM SUCCESSION";
const GENESIS: &str = "MYCELIUM GENESIS";

/// Why a text isn't the paper it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// It isn't PEM as this program writes it.
    #[error("it is not PEM blocks as mesh writes them (RFC 7468)")]
    NotPem,
    /// Its blocks are those of something else.
    #[error("it holds {0}, which is not what belongs here")]
    OtherBlocks(String),
    /// A block doesn't hold what its label says.
    #[error("a block of it can't be read: {0}")]
    Form(#[from] FormError),
    /// Its successions don't follow from each other.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
}

impl Certificate {
    /// The certificate as a PEM block.
    #[must_use]
    pub fn to_pem(&self) -> String {
        block(CERTIFICATE, &self.encode())
    }

    /// Reads one certificate. What was read isn't believed yet.
    pub fn from_pem(text: &str) -> Result<Self, PaperError> {
        match &blocks(text)?[..] {
            [(CERTIFICATE, bytes)] => Ok(Self::decode(bytes)?),
            other => Err(other_blocks(other)),
        }
    }
}

impl Chain {
    /// Both certificates as PEM blocks.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.membership.to_pem() + &self.issuer.to_pem()
    }

    /// Reads both certificates. What was read isn't believed yet.
    pub fn from_pem(text: &str) -> Result<Self, PaperError> {
        match &blocks(text)?[..] {
            [(CERTIFICATE, membership), (CERTIFICATE, issuer)] => Ok(Self {
                membership: Certificate::decode(membership)?,
                issuer: Certificate::decode(issuer)?,
            }),
            other => Err(other_blocks(other)),
        }
    }
}

impl Succession {
    /// The succession as a PEM block: the one message that the recovery key has to send.
    #[must_use]
    pub fn to_pem(&self) -> String {
        block(SUCCESSION, &self.encode())
    }

    /// Reads one succession. What was read isn't believed yet.
    pub fn from_pem(text: &str) -> Result<Self, PaperError> {
        match &blocks(text)?[..] {
            [(SUCCESSION, bytes)] => Ok(Self::decode(bytes)?),
            other => Err(other_blocks(other)),
        }
    }
}

impl Roots {
    /// The genesis and the successions as PEM blocks.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let successions = self.successions().iter().map(Succession::to_pem);
        block(GENESIS, &self.genesis().encode()) + &successions.collect::<String>()
    }

    /// Reads roots, and checks that each succession follows from what stands before it.
    pub fn from_pem(text: &str) -> Result<Self, PaperError> {
        let blocks = blocks(text)?;
        let [(GENESIS, genesis), successions @ ..] = &blocks[..] else {
            return Err(other_blocks(&blocks));
        };
        let mut roots = Self::new(Genesis::decode(genesis)?);
        for (label, bytes) in successions {
            // One that changes nothing has no place here: it would not be written again.
            if *label != SUCCESSION || !roots.apply(&Succession::decode(bytes)?)? {
                return Err(other_blocks(&blocks));
            }
        }
        Ok(roots)
    }
}

fn block(label: &str, bytes: &[u8]) -> String {
    encode_string(label, LineEnding::LF, bytes).expect("a label of capitals, and some bytes, have a PEM form")
}

/// The blocks of a text that is nothing but blocks, each in the form that [`block`] gives it.
fn blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, PaperError> {
    if text.len() > MAX_TEXT {
        return Err(PaperError::NotPem);
    }
    let mut rest = text.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let end = rest.find("\n-----END ").ok_or(PaperError::NotPem)? + 1;
        let end = rest[end..].find('\n').map_or(rest.len(), |line| end + line + 1);
        let (one, others) = rest.split_at(end);
        let (label, bytes) = decode_vec(one.as_bytes()).map_err(|_| PaperError::NotPem)?;
        if block(label, &bytes).trim_end() != one.trim_end_matches('\n') {
            return Err(PaperError::NotPem);
        }
        all.push((label, bytes));
        rest = others;
    }
    Ok(all)
}

fn other_blocks(blocks: &[(&str, Vec<u8>)]) -> PaperError {
    let mut labels: Vec<_> = blocks.iter().map(|(label, _)| *label).take(4).collect();
    if labels.is_empty() {
        labels.push("nothing");
    }
    PaperError::OtherBlocks(labels.join(", "))
}

#[cfg(test)]
mod tests;
