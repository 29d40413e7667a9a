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
    /// `demand`: how much of an app a node's edge and replicas ask for ([`genome::Demand`]).
    Demand,
    /// `learned`: what a node saw that an app's replicas need ([`genome::Learned`]).
    Learned,
    /// `credit`: a node's row of an app's credits ([`genome::Credit`]).
    Credit,
    /// `trust`: a publisher whose spores may run ([`genome::Trust`]).
    Trust,
    /// `root`: the root that holds now ([`genome::RootChange`]).
    Root,
    /// `operator`: whose records are obeyed ([`genome::Operator`]).
    Operator,
    /// `issuer`: a node that may let others in ([`genome::Issuer`]).
    Issuer,
    /// `member`: a node's proof that it was let in ([`genome::Member`]).
    Member,
    /// `revoke`: a node's key that is out for good ([`genome::Revoke`]).
    Revoke,
    /// `drain`: a node that gets no new work ([`genome::Drain`]).
    Drain,
    /// `policy`: a rule over what may run ([`genome::Policy`]).
    Policy,
    /// `secret`: a value that is sealed to the nodes that may need it ([`genome::Secret`]).
    Secret,
    /// `config`: a text for replicas ([`genome::Config`]).
    Config,
    /// `identity`: who may vouch for publishers' keys ([`genome::Identity`]).
    Identity,
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
            Self::Demand => "demand",
            Self::Learned => "learned",
            Self::Credit => "credit",
            Self::Trust => "trust",
            Self::Root => "root",
            Self::Operator => "operator",
            Self::Issuer => "issuer",
            Self::Member => "member",
            Self::Revoke => "revoke",
            Self::Drain => "drain",
            Self::Policy => "policy",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Identity => "identity",
            Self::Other(other) => &other.0,
        }
    }

    /// Whether operators write it; `None` for a kind this version doesn't know.
    pub(crate) const fn is_operators(&self) -> Option<bool> {
        match self {
            Self::Plan | Self::Budget | Self::Trust | Self::Drain | Self::Policy | Self::Identity => {
                Some(true)
            }
            Self::Secret | Self::Config => Some(true),
            Self::Root | Self::Operator | Self::Issuer | Self::Revoke => Some(true),
            Self::Endpoint | Self::Node | Self::Observed | Self::Demand | Self::Learned => Some(false),
            Self::Member | Self::Credit => Some(false),
            Self::Other(_) => None,
        }
    }

    /// Whether it is one of those from which it follows who may write. They hold until another one says
    /// otherwise: never removed and never at an end by themselves, so that no clock decides.
    #[must_use]
    pub const fn rules(&self) -> bool {
        matches!(self, Self::Root | Self::Operator | Self::Issuer | Self::Revoke | Self::Member)
    }

    /// Its place in a batch: what says who may write comes before what they wrote.
    pub(crate) const fn precedence(&self) -> u8 {
        match self {
            Self::Root => 0,
            Self::Operator => 1,
            Self::Issuer => 2,
            Self::Revoke => 3,
            Self::Member => 4,
            _ => 5,
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
            "demand" => Self::Demand,
            "learned" => Self::Learned,
            "credit" => Self::Credit,
            "trust" => Self::Trust,
            "root" => Self::Root,
            "operator" => Self::Operator,
            "issuer" => Self::Issuer,
            "member" => Self::Member,
            "revoke" => Self::Revoke,
            "drain" => Self::Drain,
            "policy" => Self::Policy,
            "secret" => Self::Secret,
            "config" => Self::Config,
            "identity" => Self::Identity,
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
