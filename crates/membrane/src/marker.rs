//! The marker by which a workload's processes are known again, even by a keeper that didn't start them.
//!
//! Each workload has `MESH_KEEPER_ID=<keeper folder's own id>/<workload's id>` in its environment.

/// The name of the variable.
pub(crate) const VARIABLE: &str = "MESH_KEEPER_ID";

/// The entry of one workload.
pub(crate) fn entry(unique: &str, id: &str) -> String {
    format!("{VARIABLE}={unique}/{id}")
}

/// What the entries of all workloads of one folder begin with.
pub(crate) fn prefix(unique: &str) -> String {
    entry(unique, "")
}
