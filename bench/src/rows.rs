//! Rows: one module a part of the table.

mod changes;
mod cost;
mod edge;
mod fetch;
mod fifty;
mod first;
mod hop;
mod hosts;
mod idle;
mod many;
mod neighbour;
mod scale;
mod shares;
mod spawn;
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
    Row { name: "cost", about: "what membrane and telemetry add to a request", run: cost::run },
    Row { name: "plan", about: "from a plan to the first answer", run: first::plan },
    Row { name: "many", about: "200 replicas on one machine", run: many::run },
    Row { name: "spawn", about: "a confined program beside bubblewrap", run: spawn::run },
    Row { name: "neighbour", about: "beside one that wants everything", run: neighbour::run },
    Row { name: "shares", about: "apps that want all CPUs, against their shares", run: shares::run },
    Row { name: "tree", about: "a thousand processes stopped", run: neighbour::tree },
    Row { name: "spore", about: "verify and extract beside openssl speed", run: spore::run },
    Row {
        name: "changes",
        about: "a million requests through updates, kills and an upgrade",
        run: changes::run,
    },
    Row { name: "crash", about: "from a crash to the next answer", run: first::crash },
    Row { name: "scale", about: "ten times the load, and the first request after sleep", run: scale::run },
    Row { name: "idle", about: "memory when nothing happens, and the size of the binary", run: idle::run },
    Row { name: "fifty", about: "a mesh of fifty nodes: news, deaths, newcomers, a cut", run: fifty::run },
    Row { name: "hop", about: "a request through another node beside two nginx with TLS", run: hop::run },
    Row { name: "fetch", about: "a spore from three nodes beside nginx and curl", run: fetch::run },
    Row { name: "elsewhere", about: "from a node's death to the next answer", run: hosts::elsewhere },
    Row { name: "hosts", about: "five nodes under load: upgrades and deaths", run: hosts::run },
];
