//! Where things lie on disk (XDG Base Directory Specification 0.8, or one folder for all).

use std::io;
use std::path::{Path, PathBuf};

/// The folders of one mesh on one machine. Everything is created on use, for its owner only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// What must survive: records, spores, keys of nodes, logs.
    pub state: PathBuf,
    /// What belongs to the person: keys and trusted publishers.
    pub config: PathBuf,
}

impl Paths {
    /// Everything under `dir`, made absolute: what `--state DIR` means.
    pub fn under(dir: &Path) -> io::Result<Self> {
        let dir = std::path::absolute(dir)?;
        Ok(Self { config: dir.clone(), state: dir })
    }

    /// `$XDG_STATE_HOME/mesh` and `$XDG_CONFIG_HOME/mesh`, with the specification's defaults under `$HOME`.
    /// `None` without a home folder.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let home = std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
        let base = |name: &str, default: &str| {
            let set = std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
            set.or_else(|| home.as_ref().map(|home| home.join(default))).map(|p| p.join("mesh"))
        };
        Some(Self {
            state: base("XDG_STATE_HOME", ".local/state")?,
            config: base("XDG_CONFIG_HOME", ".config")?,
        })
    }

    /// The identity of the mesh and its operators' public keys.
    #[must_use]
    pub fn mesh_file(&self) -> PathBuf {
        self.state.join("mesh.json")
    }

    /// The Unix socket of the local API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state.join("mesh.sock")
    }

    /// Locked by the one `mesh` that runs this state.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("mesh.lock")
    }

    /// Spores by digest.
    #[must_use]
    pub fn repo(&self) -> PathBuf {
        self.state.join("repo")
    }

    /// Run folders, `run/<node>/<replica>/`.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.state.join("run")
    }

    /// Logs of replicas, `logs/<node>/<replica>/`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The keeper's folder.
    #[must_use]
    pub fn keeper(&self) -> PathBuf {
        self.state.join("keeper")
    }

    /// The fabric's journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state.join("fabric.redb")
    }

    /// The events of this machine.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.state.join("events")
    }

    /// The keys of the nodes that run here.
    #[must_use]
    pub fn node_keys(&self) -> PathBuf {
        self.state.join("nodes")
    }

    /// The person's signing keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.config.join("keys")
    }

    /// The folder with the trusted publishers.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.config.clone()
    }
}

/// A path of at most 107 bytes for `name` in the folder that `dir` has open (unix(7), `sun_path`).
pub(crate) fn by_descriptor(dir: &std::fs::File, name: &std::ffi::OsStr) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)
}

/// Makes a folder, with its parents, that only its owner may enter.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
