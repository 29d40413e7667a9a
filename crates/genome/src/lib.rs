//! Genome: the schemas of what operators ask for and nodes report (kinds of fabric records).
//!
//! Shapes and their validity only: who may write which, and which of two wins, is the fabric's
//! business; what follows from them is the planner's. Field names in JSON are fixed by the public
//! specification (`appName`, `digest`, `min`, `max`, `maxInstances`, `cpu_milli`, `nodeID`, …);
//! unknown fields are left alone, since a record travels as the bytes that were signed.

mod budget;
mod endpoint;
mod invalid;
mod node;
mod observed;
mod plan;
mod schema;
mod trust;

pub use budget::Budget;
pub use endpoint::{Endpoint, Exit, ReplicaState};
pub use invalid::Invalid;
pub use node::{Node, Pressure};
pub use observed::{Failure, Observed};
pub use plan::{Plan, Previous, Release, Revision, Rollout};
pub use schema::schemas;
pub use trust::Trust;

#[cfg(test)]
mod tests;
