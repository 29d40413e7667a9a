//! Product: a real `mesh run` in a folder of its own, driven by its command line and its local API.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fabric::{MeshId, Record};
use genome::{Plan, Release};
use rustix::process::Signal;
use serde_json::{Value, json};
use soul::{KeyStore, SecretKey};
use types::{AppName, Digest, Nutrients, PublicKey, Workload};

use crate::api::Api;
use crate::machine::{self, Memory};
use crate::process::{self, Process, pause, signal};

/// The longest that anything may take which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

const VERSION: &str = "v0.1.0";
/// So little that two hundred replicas fit on any machine.
const NEXT_TO_NOTHING: Nutrients = Nutrients { cpu_milli: 1, memory_mb: 1 };

/// A running mesh; everything it runs ends with it.
pub struct Mesh {
    program: PathBuf,
    state: PathBuf,
    process: Process,
    /// Of the mesh that runs now: after an upgrade it is no child of ours.
    pid: u32,
    api: Api,
    mesh: MeshId,
    key: SecretKey,
    /// Where HTTP comes in.
    pub edge: SocketAddr,
}

/// A spore in the mesh's repo.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its name.
    pub digest: Digest,
    /// Where it lies.
    pub path: PathBuf,
}

impl Mesh {
    /// Starts one with three nodes in `state`, which is made if it isn't there.
    pub fn start(program: &Path, state: &Path, core: Option<usize>) -> Result<Self> {
        fs::create_dir_all(state)?;
        let mut process = launch(program, state, core)?;
        let api = Api { socket: state.join("mesh.sock") };
        let status = process.until("it answered", PATIENCE, || api.get("/v1/status").ok())?;
        let url = status["edge"]["url"].as_str().context("the mesh named no edge")?;
        let edge = url.strip_prefix("http://").context("the edge speaks no plain HTTP")?.parse()?;
        let (mesh, key) = operator(state)?;
        Ok(Self {
            program: program.to_owned(),
            state: state.to_owned(),
            pid: process.id(),
            process,
            api,
            mesh,
            key,
            edge,
        })
    }

    /// Its processes that aren't workloads.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let status = self.api.get("/v1/status")?;
        let keeper = status["keeper_pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        Ok([self.pid].into_iter().chain(keeper).collect())
    }

    /// The memory of its processes that aren't workloads.
    pub fn memory(&self) -> Result<Memory> {
        self.pids()?.into_iter().try_fold(Memory::default(), |sum, pid| Ok(sum + machine::memory(pid)?))
    }

    /// Packs `binary` as `app`, with next to no needs, and stores it.
    pub fn publish(&self, app: &str, binary: &Path) -> Result<Published> {
        let dir = self.state.join("bench").join(app);
        fs::create_dir_all(&dir)?;
        let manifest = dir.join("manifest.json");
        let template = json!({
            "kind": "Spore", "name": app, "version": VERSION, "command": app, "args": [],
            "env": { "GREETING": "hi" }, "provides": ["http"], "nutrients": NEXT_TO_NOTHING,
        });
        fs::write(&manifest, template.to_string())?;
        let (manifest, binary) = (manifest.to_string_lossy(), binary.to_string_lossy());
        let out = dir.to_string_lossy();
        cli(
            &self.program,
            &self.state,
            &["build", "-manifest", &manifest, "-binary", &binary, "-out", &out],
        )?;
        let spores = fs::read_dir(&dir)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let spore = spores.into_iter().find(|path| path.extension().is_some_and(|end| end == "spore"));
        let bytes = fs::read(spore.context("mesh build made no spore")?)?;
        let stored = self.api.post("/v1/spores", &bytes)?;
        let digest = stored["digest"].as_str().context("no digest")?.parse()?;
        let path = stored["path"].as_str().context("no path")?.into();
        Ok(Published { digest, path })
    }

    /// A plan for `replicas` of `app`, as the operator's record in wire form, ready to be submitted.
    pub fn plan(
        &self,
        app: &str,
        spore: &Published,
        replicas: u32,
        change: impl FnOnce(&mut Plan),
    ) -> Result<Vec<u8>> {
        let app: AppName = app.parse()?;
        let release = Release {
            digest: spore.digest,
            version: VERSION.to_owned(),
            workload: Workload::Service,
            nutrients: NEXT_TO_NOTHING,
            port: 0,
            env: BTreeMap::new(),
            restart: 0,
        };
        let mut plan = Plan::new(app.clone(), release, replicas);
        change(&mut plan);
        let at = self.api.get(&format!("/v1/apps/{app}/plan"))?;
        let generation = at["next_generation"].as_u64().context("no next generation")?;
        Ok(Record::plan(self.mesh, generation, &plan, &self.key)?.encode())
    }

    /// Hands a signed record to the mesh.
    pub fn submit(&self, record: &[u8]) -> Result<()> {
        self.api.post("/v1/records", record).map(drop)
    }

    /// What the mesh says of an app.
    pub fn app(&self, app: &str) -> Result<Value> {
        self.api.get(&format!("/v1/apps/{app}"))
    }

    /// Asks until all that is wanted of `app` is ready, and nothing else is left of it.
    pub fn settled(&self, app: &str, replicas: u64) -> Result<Value> {
        let since = Instant::now();
        loop {
            let status = self.app(app)?;
            if status["state"] == "ready" && status["ready"] == replicas {
                return Ok(status);
            }
            if since.elapsed() > PATIENCE {
                bail!("{app} isn't settled after {PATIENCE:?}: {}", status["message"]);
            }
            pause(Duration::from_millis(5));
        }
    }

    /// The processes of the ready replicas of `app`, those that were restarted least first.
    pub fn replicas(&self, app: &str) -> Result<Vec<u32>> {
        let status = self.app(app)?;
        let replicas = status["replicas"].as_array().context("no replicas")?;
        let ready = replicas.iter().filter(|replica| replica["state"] == "ready");
        let process = |replica: &Value| {
            Some((replica["restarts"].as_u64()?, u32::try_from(replica["pid"].as_u64()?).ok()?))
        };
        let mut found: Vec<_> = ready.filter_map(process).collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, pid)| pid).collect())
    }

    /// Runs the command line against this mesh.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        cli(&self.program, &self.state, arguments)
    }

    /// Has another process take over, as an upgrade does; the first one has ended then.
    pub fn upgrade(&mut self) -> Result<()> {
        let before = self.pid;
        self.cli(&["upgrade"])?;
        let version = self.api.get("/v1/version")?;
        self.pid = version["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("no pid")?;
        if self.pid == before {
            bail!("process {before} was to be replaced and still answers");
        }
        process::adopt(self.pid);
        self.process.wait(PATIENCE).context("the old mesh stays")?;
        Ok(())
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

fn launch(program: &Path, state: &Path, core: Option<usize>) -> Result<Process> {
    let (text, folder) = (program.to_string_lossy(), state.to_string_lossy());
    let argv = [&text, "run", "-nodes", "3", "-edge", "127.0.0.1:0", "--state", &folder];
    Process::start("mesh", &argv, &[], core, &state.join("bench.log"))
}

fn cli(program: &Path, state: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).arg("--state").arg(state).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("mesh {} ended with {}: {said}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
