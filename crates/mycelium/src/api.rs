//! The local API: versioned HTTP on a Unix socket that only its owner may open.
//!
//! Shapes of version 1. Fields may be added; a field's meaning never changes and none is removed.

mod advice;
mod mesh;
mod openapi;
mod settings;
mod trace;
mod types;
mod usage;

pub use advice::{Advice, Evidence, Spread};
pub use mesh::{
    Conflict, Held, IdentityStatus, MemberStatus, NetworkStatus, OperatorStatus, PeerStatus, PolicyStatus,
    Pong, RecordAt, RootsAt, Side, TicketMade, TicketStatus, TicketWish, Written,
};
pub use openapi::openapi;
pub use settings::{AppSettings, ConfigInfo, NodeKey, SecretInfo, SettingsAt};
pub use trace::{Trace, TraceQuery, TraceWhat};
pub use types::{
    AppState, AppStatus, BudgetAt, Collected, EdgeStatus, ErrorBody, EventQuery, LogLine, LogQuery,
    MeshStatus, NodeStatus, PlanAt, Quarantined, Receipt, Shutdown, SporeInfo, Stored, Traffic, VersionInfo,
    Why,
};
pub use usage::{AppUsage, NodeUsage, ReplicaUsage, UsageQuery};

/// The version in every path.
pub const API_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
