//! `mesh.toml`: what `mesh up` and `mesh release` build, pack and run. Paths in it start at its own folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genome::{Constraint, Reach};
use serde::Deserialize;
use types::{AppName, SettingName};

use crate::bind::{Asked, Rotate};
use crate::failure::Failure;
use crate::listen::Listen;
use crate::packing::Bill;
use crate::ration::Ration;
use crate::span::Span;

/// The name that is looked for when none is given.
pub const NAME: &str = "mesh.toml";

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshFile {
    /// How the mesh runs.
    #[serde(default)]
    pub mesh: Mesh,
    /// What runs on it, by app name.
    #[serde(default)]
    pub app: BTreeMap<AppName, App>,
    /// The folder the file lies in.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// How the mesh runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mesh {
    /// How many agents.
    pub nodes: Option<u32>,
    /// Where HTTP comes in.
    pub edge: Option<Listen>,
    /// Where metrics are served.
    pub admin: Option<Listen>,
    /// The warm-up of apps that don't say one.
    pub warmup: Option<Span>,
    /// The key that signs the spores.
    pub key: Option<String>,
}

/// One app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its manifest.
    pub manifest: PathBuf,
    /// The shell command that makes the binary.
    pub build: Option<String>,
    /// The binary.
    pub binary: PathBuf,
    /// A folder that comes with it.
    pub files: Option<PathBuf>,
    /// Pack an SBOM: `true` makes one, a text names one that was made.
    pub sbom: Option<Sbom>,
    /// How many replicas.
    pub instances: Option<u32>,
    /// The fewest replicas, instead of `instances`.
    pub min: Option<u32>,
    /// The most replicas, instead of `instances`.
    pub max: Option<u32>,
    /// So long without a request, and it sleeps, if `min` is 0.
    pub idle: Option<Span>,
    /// So long must fewer replicas be enough before the others leave.
    pub settle: Option<Span>,
    /// How much each replica gets: `"auto"`, `"cpu=200,memory=128"`, or `"manifest"`.
    pub nutrients: Option<Ration>,
    /// A fixed port instead of any free one.
    pub port: Option<u16>,
    /// Environment over the manifest's.
    pub env: Option<BTreeMap<String, String>>,
    /// Secrets it gets as /run/secrets/NAME; `mesh secret set` makes them.
    pub secrets: Option<Vec<SettingName>>,
    /// Configs it gets as /run/config/NAME; `mesh config set` makes them.
    pub config: Option<Vec<SettingName>>,
    /// How newer values of these reach replicas that run: `restart`, `signal` (SIGHUP), `signal=USR1`, `signal=USR2`.
    pub rotate: Option<Rotate>,
    /// How long a new replica is ready before an old one leaves.
    pub warmup: Option<Span>,
    /// How long a leaving replica may take.
    pub grace: Option<Span>,
    /// Labels its nodes must have: `zone = "a,b"` takes either, `"gpu!" = "no"` any but this one.
    pub constraints: Option<BTreeMap<String, String>>,
    /// The profile that confines it, in place of the manifest's.
    #[serde(default)]
    pub profile: Option<String>,
    /// What it may connect to besides its node's edge: `tcp:5432`, `udp:10.0.0.2:53`.
    #[serde(default)]
    pub reach: Option<Vec<Reach>>,
    /// What policies and people may ask of it, such as `owner`.
    pub labels: Option<BTreeMap<String, String>>,
    /// So many nodes may fail before all go back to the release before.
    pub max_failed: Option<u32>,
    /// So many replicas try a new release before the others.
    pub canary: Option<u32>,
    /// So many replicas change at a time.
    pub max_unavailable: Option<u32>,
    /// What it may hold at once.
    pub budget: Option<Budget>,
}

/// Whether an SBOM is packed, and which.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Sbom {
    /// Whether one is made.
    Made(bool),
    /// One that was made.
    Given(PathBuf),
}

/// What an app may hold at once; what is left out is not capped.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most replicas.
    pub max_instances: Option<u32>,
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// MiB.
    pub memory_mb: Option<u64>,
}

impl Sbom {
    /// What is to be packed, for a mesh.toml in `folder`.
    pub fn within(&self, folder: &Path) -> Option<Bill> {
        match self {
            Self::Made(made) => made.then_some(Bill::Made),
            Self::Given(path) => Some(Bill::Given(folder.join(path))),
        }
    }
}

impl MeshFile {
    /// Reads the file, or `mesh.toml` in the folder, that `path` names.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let path = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::usage(format_args!("failed to read {}: {e}", path.display())).hint(
                "`mesh up` runs what a mesh.toml describes: write one, name one (`mesh up FILE`), \
                 or start an empty mesh with `mesh run`",
            )
        })?;
        let mut file = Self::parse(&text)
            .map_err(|problem| Failure::usage(format_args!("{}: {problem}", path.display())))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        file.folder = std::path::absolute(folder)
            .map_err(|e| Failure::new(format_args!("failed to find {}: {e}", folder.display())))?;
        Ok(file)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        if file.mesh.nodes == Some(0) {
            return Err("[mesh] nodes: a mesh has at least one node".to_owned());
        }
        for (name, app) in &file.app {
            app.replicas().map_err(|problem| format!("[app.{name}] {problem}"))?;
            for (label, value) in app.labels.iter().flatten() {
                genome::check_label(label, value).map_err(|problem| format!("[app.{name}] {problem}"))?;
            }
            for constraint in app.constraints.iter().flat_map(Constraint::all) {
                constraint.validate().map_err(|problem| format!("[app.{name}] {problem}"))?;
            }
        }
        Ok(file)
    }
}

impl App {
    /// The bounds it asks for, if it asks for any.
    pub fn replicas(&self) -> Result<Option<(u32, u32)>, String> {
        crate::plans::replicas(self.instances, self.min, self.max)
    }

    /// The secrets and configs that it asks for, and no others where it lists them.
    pub fn asked(&self) -> Asked {
        Asked {
            secret: self.secrets.clone().unwrap_or_default(),
            config: self.config.clone().unwrap_or_default(),
            rotate: self.rotate,
            no_others: (self.secrets.is_some(), self.config.is_some()),
            ..Asked::default()
        }
    }
}

#[cfg(test)]
mod tests;
