//! Product: a real `mesh run` in a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fabric::MeshId;
use rustix::process::Signal;
use serde_json::Value;
use soul::{KeyStore, SecretKey};
use types::PublicKey;

use crate::api::Api;
use crate::hand::Hand;
use crate::machine::{self, Memory};
use crate::process::{self, Process, signal};

/// The longest that anything may take which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running mesh; everything it runs ends with it.
pub struct Mesh {
    hand: Hand,
    process: Process,
    /// Of the mesh that runs now: after an upgrade it is no child of ours.
    pid: u32,
    /// Where HTTP comes in.
    pub edge: SocketAddr,
}

impl Mesh {
    /// Starts one with three nodes in `state`, which is made if it isn't there, by a command that becomes what follows it.
    pub fn start(program: &Path, state: &Path, core: Option<usize>, by: &[&str]) -> Result<Self> {
        fs::create_dir_all(state)?;
        let mut process = launch(program, state, core, by)?;
        let api = Api { socket: state.join("mesh.sock") };
        let status = process.until("it answered", PATIENCE, || api.get("/v1/status").ok())?;
        let edge = edge(&status)?;
        let (mesh, key) = operator(state)?;
        let hand = Hand { program: program.to_owned(), state: state.to_owned(), api, mesh, key };
        Ok(Self { hand, pid: process.id(), process, edge })
    }

    /// Its processes that aren't workloads.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let status = self.api.get("/v1/status")?;
        Ok([self.pid].into_iter().chain(keeper(&status)).collect())
    }

    /// The memory of its processes that aren't workloads.
    pub fn memory(&self) -> Result<Memory> {
        self.pids()?.into_iter().try_fold(Memory::default(), |sum, pid| Ok(sum + machine::memory(pid)?))
    }

    /// Has another process take over, as an upgrade does; the first one has ended then.
    pub fn upgrade(&mut self) -> Result<()> {
        self.pid = self.hand.upgrade(self.pid)?;
        self.process.wait(PATIENCE).context("the old mesh stays")?;
        Ok(())
    }
}

impl Hand {
    /// Has another process take over from `before`, which is no child of ours then; its id.
    pub fn upgrade(&self, before: u32) -> Result<u32> {
        self.cli(&["upgrade"])?;
        let version = self.api.get("/v1/version")?;
        let pid = version["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("no pid")?;
        if pid == before {
            bail!("process {before} was to be replaced and still answers");
        }
        process::release(before);
        process::adopt(pid);
        Ok(pid)
    }
}

impl Deref for Mesh {
    type Target = Hand;

    fn deref(&self) -> &Hand {
        &self.hand
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let keeper = self.pids().ok().and_then(|pids| pids.get(1).copied());
        let _ = self.cli(&["down"]);
        for pid in [Some(self.pid), keeper].into_iter().flatten().filter(|pid| process::alive(*pid)) {
            signal(pid, Signal::KILL);
        }
        process::release(self.pid);
    }
}

/// Where HTTP comes in, by what `/v1/status` says.
pub fn edge(status: &Value) -> Result<SocketAddr> {
    let url = status["edge"]["url"].as_str().context("the mesh named no edge")?;
    Ok(url.strip_prefix("http://").context("the edge speaks no plain HTTP")?.parse()?)
}

/// The keeper, by what `/v1/status` says.
pub fn keeper(status: &Value) -> Option<u32> {
    status["keeper_pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

fn launch(program: &Path, state: &Path, core: Option<usize>, by: &[&str]) -> Result<Process> {
    let (text, folder) = (program.to_string_lossy(), state.to_string_lossy());
    let run = [&text, "run", "-nodes", "3", "-edge", "127.0.0.1:0", "--state", &folder];
    let argv: Vec<&str> = by.iter().copied().chain(run).collect();
    Process::start("mesh", &argv, &[], core, &state.join("bench.log"))
}

/// The mesh's identity, and the key of an operator of it that lies in its folder.
fn operator(state: &Path) -> Result<(MeshId, SecretKey)> {
    let file: Value = serde_json::from_slice(&fs::read(state.join("mesh.json"))?)?;
    let mesh = serde_json::from_value(file["mesh"].clone())?;
    let operators: Vec<PublicKey> = serde_json::from_value(file["operators"].clone())?;
    let store = KeyStore::open(&state.join("keys"))?;
    let keys = store.list()?.into_iter().filter_map(std::result::Result::ok);
    let key = keys.into_iter().find(|key| operators.contains(&key.public_key));
    Ok((mesh, store.load(&key.context("no key of an operator")?.name)?))
}
