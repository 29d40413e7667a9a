//! Hand: an operator at one running `mesh`, by its command line and its local API.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use fabric::{Kind, MeshId, Record, RecordName};
use genome::{Plan, Release};
use serde_json::{Value, json};
use soul::SecretKey;
use types::{AppName, Digest, Nutrients, Workload};

use crate::api::Api;
use crate::process::pause;

/// The longest that anything may take which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

const VERSION: &str = "v0.1.0";
/// So little that two hundred replicas fit on any machine; they are held to it.
const NEXT_TO_NOTHING: Nutrients = Nutrients { cpu_milli: 1, memory_mb: 16 };

/// What it takes to ask and to order.
pub struct Hand {
    /// The product.
    pub program: PathBuf,
    /// Its state folder.
    pub state: PathBuf,
    /// The local API of what runs there.
    pub api: Api,
    /// The mesh that records are for.
    pub mesh: MeshId,
    /// An operator's.
    pub key: SecretKey,
}

/// A spore in a repo.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its name.
    pub digest: Digest,
    /// Where it lies.
    pub path: PathBuf,
}

impl Hand {
    /// Packs `binary` as `app`, with next to no needs, and stores it.
    pub fn publish(&self, app: &str, binary: &Path) -> Result<Published> {
        let spore = self.pack(app, binary)?;
        let bytes = fs::read(spore)?;
        self.store(&bytes)
    }

    /// Packs `binary` as `app`; the file of it.
    pub fn pack(&self, app: &str, binary: &Path) -> Result<PathBuf> {
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
        self.cli(&["build", "-manifest", &manifest, "-binary", &binary, "-out", &out])?;
        let spores = fs::read_dir(&dir)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let spore = spores.into_iter().find(|path| path.extension().is_some_and(|end| end == "spore"));
        spore.context("mesh build made no spore")
    }

    /// Stores a spore.
    pub fn store(&self, spore: &[u8]) -> Result<Published> {
        let stored = self.api.post("/v1/spores", spore)?;
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
            profile: None,
            reach: Vec::new(),
            settings: Default::default(),
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

    /// Has nothing of `app` run any more.
    pub fn stop(&self, app: &str, spore: &Published) -> Result<()> {
        self.submit(&self.plan(app, spore, 0, |_| ())?)
    }

    /// Takes the plan of `app` back: nothing of it runs any more, and nobody keeps its spore.
    pub fn remove(&self, app: &str) -> Result<()> {
        let app: AppName = app.parse()?;
        let at = self.api.get(&format!("/v1/apps/{app}/plan"))?;
        let generation = at["next_generation"].as_u64().context("no next generation")?;
        let (name, now) = (RecordName::of_app(&app), SystemTime::now().into());
        self.submit(&Record::remove(self.mesh, Kind::Plan, name, generation, now, &self.key)?.encode())
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

    /// The ready replicas of `app`, those that were restarted least first: the node and the process of each.
    pub fn places(&self, app: &str) -> Result<Vec<(String, u32)>> {
        let status = self.app(app)?;
        let replicas = status["replicas"].as_array().context("no replicas")?;
        let ready = replicas.iter().filter(|replica| replica["state"] == "ready");
        let place = |replica: &Value| {
            let node = replica["nodeID"].as_str()?.to_owned();
            Some((replica["restarts"].as_u64()?, node, u32::try_from(replica["pid"].as_u64()?).ok()?))
        };
        let mut found: Vec<_> = ready.filter_map(place).collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, node, pid)| (node, pid)).collect())
    }

    /// The processes of the ready replicas of `app`, those that were restarted least first.
    pub fn replicas(&self, app: &str) -> Result<Vec<u32>> {
        Ok(self.places(app)?.into_iter().map(|(_, pid)| pid).collect())
    }

    /// Runs the command line against this mesh.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        cli(&self.program, &self.state, arguments)
    }
}

/// Runs `mesh` with the state folder `state`; what it printed.
pub fn cli(program: &Path, state: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).arg("--state").arg(state).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("mesh {} ended with {}: {said}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
