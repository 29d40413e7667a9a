//! Rows: one module a part of the table.

mod changes;
mod edge;
mod first;
mod idle;
mod many;
mod spore;

use anyhow::Result;

use crate::bench::Bench;
use crate::figures::Figure;

/// A part of the table.
pub struct Row {
    /// For `--only`.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Bench) -> Result<Vec<Figure>>,
}

/// All of them, in the order of the table.
pub const ROWS: &[Row] = &[
    Row { name: "edge", about: "the edge beside nginx and HAProxy", run: edge::run },
    Row { name: "plan", about: "from a plan to the first answer", run: first::plan },
    Row { name: "many", about: "200 replicas on one machine", run: many::run },
    Row { name: "spore", about: "verify and extract beside openssl speed", run: spore::run },
    Row {
        name: "changes",
        about: "a million requests through updates, kills and an upgrade",
        run: changes::run,
    },
    Row { name: "crash", about: "from a crash to the next answer", run: first::crash },
    Row { name: "idle", about: "memory when nothing happens, and the size of the binary", run: idle::run },
];
