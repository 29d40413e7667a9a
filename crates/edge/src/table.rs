//! The routing table: which apps exist and where their ready replicas listen.

use std::collections::BTreeMap;
use std::time::Duration;

use types::AppName;

use crate::reach::Reach;

/// All an edge knows about where requests go. Replaced as a whole by [`crate::Routes::set`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Every app that exists; without a target it is answered with 503.
    pub apps: BTreeMap<AppName, Vec<Target>>,
    /// How a target is chosen.
    pub balance: Balance,
    /// What is asked of the requests of apps, where something is.
    pub scaling: BTreeMap<AppName, Scaling>,
}

/// What is asked of the requests of an app, and done for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scaling {
    /// The time in which they are to be answered: longer ones are counted.
    pub budget: Option<Duration>,
    /// Its replicas come and go with its requests: these go to the lighter of two, and to far ones once the near ones
    /// have more to do than these.
    pub elastic: bool,
    /// Without a target they are held until there is one, within the limits for that.
    pub sleeps: bool,
    /// Why there will be no target soon: then they aren't held.
    pub trouble: Option<String>,
}

/// One ready replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `app/node/replica`: unique, never used again for another replica.
    pub id: String,
    /// How to get to it.
    pub reach: Reach,
    /// What it speaks.
    pub protocol: Protocol,
    /// Used only while no other is usable: on another machine, where this one may have the app itself.
    pub far: bool,
}

/// What a replica speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (gRPC).
    H2c,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with fewer open requests of two neighbours in the round.
    LeastOfTwo,
}
