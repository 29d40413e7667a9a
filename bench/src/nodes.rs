//! Nodes: a mesh of many, each node a real `mesh node run` in a folder of its own.

mod node;
mod said;
mod site;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::process::pause;

pub use node::Node;
pub use said::millis_now;
pub use site::{Site, Sites};

/// The longest that a mesh may take to be whole.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at what announces nothing.
const STEP: Duration = Duration::from_millis(5);

/// A running mesh of many; what it runs ends with it.
pub struct Nodes {
    /// Dropped before the sites they live in.
    pub all: Vec<Node>,
    program: PathBuf,
    dir: PathBuf,
    sites: Vec<Arc<Site>>,
    core: Option<usize>,
}

/// What `/v1/records` says: two nodes that say the same hold the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The records.
    pub digest: String,
    /// Whether they are on disk.
    pub synced: bool,
}

impl Nodes {
    /// Founds a mesh, lets `count` - 1 others join, and starts them all; whole when it returns. They live in `sites`
    /// in turns, or beside the bench; `core` binds them.
    pub fn start(bench: &Bench, count: usize, sites: &[Arc<Site>], core: Option<usize>) -> Result<Self> {
        let number = bench.meshes.get();
        bench.meshes.set(number + 1);
        let dir = bench.dir.path().join(format!("nodes-{number}"));
        fs::create_dir_all(&dir)?;
        let (program, sites) = (bench.mesh.clone(), sites.to_vec());
        let mut nodes = Self { all: Vec::new(), program, dir, sites, core };
        for index in 0..count {
            bench.progress(&format!("a mesh of {count} nodes: node {}", index + 1));
            nodes.admit()?;
            nodes.all[index].start()?;
        }
        nodes.whole(&(0..count).collect::<Vec<_>>())?;
        Ok(nodes)
    }

    /// Makes one more folder a node of the mesh; it doesn't run yet.
    pub fn admit(&mut self) -> Result<usize> {
        let index = self.all.len();
        let name = format!("node-{index}");
        let state = self.dir.join(&name);
        fs::create_dir_all(&state)?;
        let site = match self.sites.len() {
            0 => None,
            sites => Some(Arc::clone(&self.sites[index % sites])),
        };
        let first = match self.all.first() {
            None => None,
            Some(first) => {
                let ticket =
                    first.api.post("/v1/tickets", json!({ "ttlMs": 600_000 }).to_string().as_bytes())?;
                Some((first.state.clone(), ticket["ticket"].as_str().context("no ticket")?.to_owned()))
            }
        };
        self.all.push(Node::admit(&self.program, &name, &state, site, self.core, first)?);
        Ok(index)
    }

    /// Waits until each of these sees all of these, and all hold the same.
    pub fn whole(&self, which: &[usize]) -> Result<()> {
        let since = Instant::now();
        loop {
            if self.is_whole(which)? {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                bail!("the nodes don't see and hold the same after {PATIENCE:?}");
            }
            pause(STEP);
        }
    }

    /// Whether each of these sees all of these, and all hold the same. The first that doesn't ends the look.
    pub fn is_whole(&self, which: &[usize]) -> Result<bool> {
        let mut held = None;
        for index in which {
            let node = &self.all[*index];
            let now = node.held()?;
            if *held.get_or_insert_with(|| now.digest.clone()) != now.digest {
                return Ok(false);
            }
            let states = node.states()?;
            let here =
                |other: &usize| states.get(&self.all[*other].name).is_some_and(|state| state == "here");
            if !which.iter().all(here) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The index of the node with this name.
    pub fn named(&self, name: &str) -> Result<usize> {
        self.all.iter().position(|node| node.name == name).with_context(|| format!("no node {name}"))
    }

    /// The folder of the mesh.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes that all nodes sent so far, as their sites' interfaces counted them.
    pub fn sent(&self) -> Result<u64> {
        self.sites.iter().map(|site| site.sent()).sum()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // At once: one after the other each would tell the rest goodbye.
        self.all.iter_mut().for_each(Node::end);
    }
}

impl Node {
    /// What it holds.
    pub fn held(&self) -> Result<Held> {
        let said = self.api.get("/v1/records")?;
        let digest = said["digest"].as_str().context("no digest")?.to_owned();
        Ok(Held { digest, synced: said["synced"] == true })
    }

    /// How it sees each node.
    pub fn states(&self) -> Result<BTreeMap<String, String>> {
        let nodes = self.api.get("/v1/nodes")?;
        let text = |node: &Value, field: &str| node[field].as_str().unwrap_or_default().to_owned();
        let each = nodes.as_array().context("no nodes")?.iter();
        Ok(each.map(|node| (text(node, "nodeID"), text(node, "state"))).collect())
    }
}
