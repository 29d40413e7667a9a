//! Genome: the schemas of what operators ask for and nodes report (kinds of fabric records).
//!
//! Shapes and their validity only: who may write which, and which of two wins, is the fabric's
//! business; what follows from them is the planner's. Field names in JSON are fixed by the public
//! specification (`appName`, `digest`, `min`, `max`, `maxInstances`, `cpu_milli`, `nodeID`, …);
//! unknown fields are left alone, since a record travels as the bytes that were signed.

mod budget;
mod config;
mod credit;
mod demand;
mod drain;
mod endpoint;
mod identity;
mod invalid;
mod issuer;
mod label;
mod learned;
mod member;
mod node;
mod observed;
mod operator;
mod plan;
mod policy;
mod reach;
mod revoke;
mod root;
mod scale;
mod schema;
mod secret;
mod size;
mod trust;

pub use budget::Budget;
pub use config::Config;
pub use credit::{Credit, Gift};
pub use demand::Demand;
pub use drain::Drain;
pub use endpoint::{Endpoint, Exit, ReplicaState};
pub use identity::Identity;
pub use invalid::Invalid;
pub use issuer::Issuer;
pub use label::{Constraint, check_label};
pub use learned::{Learned, Need};
pub use member::Member;
pub use node::{Node, Pressure};
pub use observed::{Failure, Observed};
pub use operator::Operator;
pub use plan::{Plan, Previous, Release, Revision, Rollout, Settings, Signal};
pub use policy::Policy;
pub use reach::{Reach, Transport};
pub use revoke::Revoke;
pub use root::RootChange;
pub use scale::Scale;
pub use schema::schemas;
pub use secret::Secret;
pub use size::{Fixed, Size};
pub use trust::Trust;

#[cfg(test)]
mod tests;
