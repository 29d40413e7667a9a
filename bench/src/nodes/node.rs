//! One node: admitted, started, upgraded, killed as if its machine had lost power.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use soul::KeyStore;

use super::Site;
use crate::api::Api;
use crate::hand::Hand;
use crate::machine::{self, Memory};
use crate::process::{self, Process, signal};
use crate::product;

/// The longest that anything may take which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// One node of a mesh of many.
pub struct Node {
    /// What it is called; also the value of its label `node`.
    pub name: String,
    hand: Hand,
    site: Option<Arc<Site>>,
    core: Option<usize>,
    run: Option<Run>,
}

/// A node that runs.
struct Run {
    process: Process,
    pid: u32,
    keeper: u32,
    edge: SocketAddr,
}

impl Node {
    /// Founds a mesh in `state`, or joins one by the ticket of the first node, whose folder has the operator's key.
    pub fn admit(
        program: &Path,
        name: &str,
        state: &Path,
        site: Option<Arc<Site>>,
        core: Option<usize>,
        first: Option<(PathBuf, String)>,
    ) -> Result<Self> {
        let listen = format!("{}:0", site.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |site| site.ip()));
        let mut words = vec!["node"];
        match &first {
            None => words.push("init"),
            Some((_, ticket)) => words.extend(["join", ticket]),
        }
        words.extend(["--name", name, "--listen", &listen, "--state"]);
        let mut argv = prefix(site.as_ref());
        argv.extend([program.to_string_lossy().into_owned()]);
        argv.extend(words.into_iter().map(str::to_owned));
        argv.push(state.to_string_lossy().into_owned());
        let output = Command::new(&argv[0]).args(&argv[1..]).env("PATH", machine::path()).output()?;
        if !output.status.success() {
            bail!("{name} was not admitted: {}", String::from_utf8_lossy(&output.stderr));
        }
        let file: Value = serde_json::from_slice(&std::fs::read(state.join("mesh.json"))?)?;
        let operator = first.map_or_else(|| state.to_owned(), |(state, _)| state);
        let hand = Hand {
            program: program.to_owned(),
            state: state.to_owned(),
            api: Api { socket: state.join("mesh.sock") },
            mesh: serde_json::from_value(file["mesh"].clone())?,
            key: KeyStore::open(&operator.join("keys"))?.load("operator")?,
        };
        Ok(Self { name: name.to_owned(), hand, site, core, run: None })
    }

    /// Starts it, and waits until it answers on its socket.
    pub fn start(&mut self) -> Result<()> {
        let mut process = self.spawn()?;
        let status = process.until("it answered", PATIENCE, || self.hand.api.get("/v1/status").ok())?;
        let keeper = product::keeper(&status).context("it named no keeper")?;
        let (pid, edge) = (process.id(), product::edge(&status)?);
        self.run = Some(Run { process, pid, keeper, edge });
        Ok(())
    }

    fn spawn(&self) -> Result<Process> {
        let mut argv = prefix(self.site.as_ref());
        let label = format!("node={}", self.name);
        argv.push(self.program.to_string_lossy().into_owned());
        argv.extend(
            ["node", "run", "--edge", "127.0.0.1:0", "--label", &label, "--state"].map(str::to_owned),
        );
        argv.push(self.state.to_string_lossy().into_owned());
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        Process::start(&self.name, &argv, &[], self.core, &self.state.join("bench.log"))
    }

    /// Where HTTP comes in, while it runs.
    pub fn edge(&self) -> Result<SocketAddr> {
        Ok(self.run.as_ref().with_context(|| format!("{} doesn't run", self.name))?.edge)
    }

    /// Its processes that aren't workloads.
    pub fn pids(&self) -> Vec<u32> {
        self.run.iter().flat_map(|run| [run.pid, run.keeper]).collect()
    }

    /// The memory of its processes that aren't workloads.
    pub fn memory(&self) -> Result<Memory> {
        self.pids().into_iter().try_fold(Memory::default(), |sum, pid| Ok(sum + machine::memory(pid)?))
    }

    /// CPU time that its processes have used, without workloads.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.pids().into_iter().map(machine::cpu_time).sum()
    }

    /// Everything of it is gone at once, workloads included, and nothing said goodbye.
    pub fn kill(&mut self) -> Result<()> {
        let run = self.run.take().with_context(|| format!("{} doesn't run", self.name))?;
        let workloads = machine::children(run.keeper);
        for pid in [run.pid, run.keeper].into_iter().chain(workloads) {
            signal(pid, Signal::KILL);
        }
        process::release(run.pid);
        // Reaps it where it is our child.
        drop(run.process);
        Ok(())
    }

    /// Has another process take over, as an upgrade does.
    pub fn upgrade(&mut self) -> Result<()> {
        let run = self.run.as_mut().with_context(|| format!("{} doesn't run", self.name))?;
        run.pid = self.hand.upgrade(run.pid)?;
        run.process.wait(PATIENCE).context("the old process stays")?;
        Ok(())
    }

    /// Ends it: it says goodbye, and what it runs ends with it.
    pub fn leave(&mut self) -> Result<()> {
        self.hand.cli(&["down", "--now"])?;
        if let Some(run) = self.run.take() {
            process::release(run.pid);
        }
        Ok(())
    }

    /// Ends it without a goodbye, for when all end.
    pub(super) fn end(&mut self) {
        if self.run.is_some() {
            let _ = self.kill();
        }
    }
}

impl Deref for Node {
    type Target = Hand;

    fn deref(&self) -> &Hand {
        &self.hand
    }
}

/// What has a program run in a site.
fn prefix(site: Option<&Arc<Site>>) -> Vec<String> {
    site.map(|site| site.enter()).unwrap_or_default()
}
