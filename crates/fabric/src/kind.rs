//! Kinds of records: a short text, so that a node carries and forwards what it doesn't know yet.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest text of a kind, in bytes.
const MAX_KIND: usize = 32;

/// What a record's payload is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `plan`: what should run of an app ([`genome::Plan`]).
    Plan,
    /// `budget`: what an app may hold ([`genome::Budget`]).
    Budget,
    /// `endpoint`: one replica as its node reports it ([`genome::Endpoint`]).
    Endpoint,
    /// `node`: a node's account of itself ([`genome::Node`]).
    Node,
    /// `observed`: what a node saw of an app ([`genome::Observed`]).
    Observed,
    /// `trust`: a publisher whose spores may run ([`genome::Trust`]).
    Trust,
    /// A kind of a later version: carried, not understood.
    Other(OtherKind),
}

/// The text of a kind that this version doesn't know; made by reading it only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherKind(Arc<str>);

/// A text that can't be a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of record: 1 to 32 of a-z, 0-9 and '-'")]
pub struct KindError(String);

impl Kind {
    /// The text that stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plan => "plan",
            Self::Budget => "budget",
            Self::Endpoint => "endpoint",
            Self::Node => "node",
            Self::Observed => "observed",
            Self::Trust => "trust",
            Self::Other(other) => &other.0,
        }
    }

    /// Whether operators write it; `None` for a kind this version doesn't know.
    pub(crate) const fn is_operators(&self) -> Option<bool> {
        match self {
            Self::Plan | Self::Budget | Self::Trust => Some(true),
            Self::Endpoint | Self::Node | Self::Observed => Some(false),
            Self::Other(_) => None,
        }
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        Ok(match text {
            "plan" => Self::Plan,
            "budget" => Self::Budget,
            "endpoint" => Self::Endpoint,
            "node" => Self::Node,
            "observed" => Self::Observed,
            "trust" => Self::Trust,
            other if is_kind(other) => Self::Other(OtherKind(other.into())),
            _ => return Err(KindError(text.chars().take(80).collect())),
        })
    }
}

fn is_kind(text: &str) -> bool {
    (1..=MAX_KIND).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
