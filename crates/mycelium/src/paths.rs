//! Where things lie on disk (XDG Base Directory Specification 0.8, or one folder for all).

use std::io;
use std::path::{Path, PathBuf};

use crate::config::StartError;

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

    /// Makes both folders, or refuses one that others may change: programs are started from the one, and the
    /// other says whom to trust.
    pub fn claim(&self) -> Result<(), StartError> {
        for dir in [&self.state, &self.config] {
            own_dir(dir).map_err(|source| StartError::State { path: dir.clone(), source })?;
        }
        Ok(())
    }

    /// The identity of the mesh and its operators' public keys.
    #[must_use]
    pub fn mesh_file(&self) -> PathBuf {
        self.state.join("mesh.json")
    }

    /// Where a key service is that holds the keys of secrets, if one does.
    #[must_use]
    pub fn vault_file(&self) -> PathBuf {
        self.config.join("vault.json")
    }

    /// Who this machine is in a mesh of many.
    #[must_use]
    pub fn node_file(&self) -> PathBuf {
        self.state.join("node.json")
    }

    /// The certificates of this machine's node.
    #[must_use]
    pub fn papers(&self) -> PathBuf {
        self.state.join("papers")
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

    /// This machine's own profiles, `profiles/NAME.toml`.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.config.join("profiles")
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

    /// What this machine ended over, and what it has in hand.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.state.join("quarantine")
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

/// A folder that somebody else may change: what lies in it can't be relied on.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// By its mode.
    #[error("others may write to it (mode {mode:04o})")]
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// By its owner.
    #[error("it belongs to the user {owner}, and this is the user {user}")]
    Owner {
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
}

fn own_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    private_dir(dir)?;
    let meta = std::fs::metadata(dir)?;
    let (mode, owner, user) =
        (meta.permissions().mode() & 0o7777, meta.uid(), rustix::process::geteuid().as_raw());
    let wrong = if mode & 0o022 != 0 {
        NotOurs::Writable { mode }
    } else if owner != user {
        NotOurs::Owner { owner, user }
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_that_others_may_change_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        own_dir(&dir).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
        for mode in [0o755, 0o750, 0o700] {
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
            own_dir(&dir).unwrap();
        }
        for (mode, said) in [(0o777, "0777"), (0o770, "0770"), (0o1777, "1777"), (0o702, "0702")] {
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = own_dir(&dir).unwrap_err();
            assert_eq!(refused.to_string(), format!("others may write to it (mode {said})"));
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let root = Path::new("/proc/1");
        let ours = rustix::process::geteuid().is_root();
        assert_eq!(own_dir(root).is_ok(), ours, "the first process is root's");
    }
}
