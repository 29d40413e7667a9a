//! Real overlays on loopback, real edges, small real HTTP servers; records are handed from store to store at will.

mod away;
mod drains;
mod failures;
mod machine;
mod refusals;
mod requests;
mod workload;
