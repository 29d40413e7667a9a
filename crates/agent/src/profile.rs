//! Profiles: how far a workload is confined. A manifest names one (`security.lsm_profile`), a plan may name another.
//!
//! A profile is a file that people read and compare: `default` (the seed's `demo`) and `strict` are built in, a node's own
//! ones lie in its folder `profiles`. `unconfined` is none: it takes an operator, who says so in the plan.

mod reach;
mod unit;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use membrane::{By, Layers};
use serde::Deserialize;

pub(crate) use reach::{Place, environment, skin};
pub use unit::unit;

/// The name that confines nothing.
pub(crate) const UNCONFINED: &str = "unconfined";
/// Those that are built in.
const BUILT_IN: [(&str, &str); 2] =
    [("default", include_str!("profile/default.toml")), ("strict", include_str!("profile/strict.toml"))];
/// The longest file of a profile.
const MAX_BYTES: u64 = 64 << 10;
/// The longest list in one.
const MAX_PATHS: usize = 256;
/// The largest `/tmp`, in MiB.
const MAX_TMP: u64 = 1 << 20;

/// What a workload may reach, but for what its manifest and its plan say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Of the machine's.
    pub files: Files,
    /// Of its own.
    pub own: Own,
    /// Over the network.
    pub network: Network,
    /// How it is kept to that.
    pub kept: Kept,
}

/// Files and folders of the machine. What isn't there is passed over; a `*` at the end stands for the rest of a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// To be read, with programs that may be run.
    pub run: Vec<String>,
    /// To be read.
    pub read: Vec<String>,
    /// To be read and written.
    pub write: Vec<String>,
    /// Whether an interpreter that lies elsewhere may be run, with the folder that it was installed in.
    pub interpreters: bool,
}

/// What it has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// A folder, unless its file system is read-only.
    pub data: bool,
    /// Whether it may run programs there.
    pub run: bool,
    /// The size of its `/tmp`, in MiB.
    pub tmp_mb: u64,
}

/// What it may connect to, besides what the plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The node's edge.
    pub edge: bool,
}

/// How it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// By what.
    pub by: By,
    /// Whether it must have a user of its own.
    pub user: bool,
}

/// How far one launch is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// As any process of the user that `mesh` runs as.
    Unconfined,
    /// To this.
    Profile(Arc<Profile>),
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Nobody knows it.
    #[error("this node knows no profile {name:?}: there are default, strict and unconfined, and what lies in {}", dir.display())]
    Unknown {
        /// Which.
        name: String,
        /// Where its own ones lie.
        dir: PathBuf,
    },
    /// Its file can't be read.
    #[error("read the profile {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its file is no profile.
    #[error("read the profile {name}: {why}")]
    Invalid {
        /// Which.
        name: String,
        /// Where and why.
        why: String,
    },
}

impl Profile {
    /// Those that are built in: names and texts.
    #[must_use]
    pub const fn built_in() -> &'static [(&'static str, &'static str)] {
        &BUILT_IN
    }

    /// The text of the profile that is called so, built in or in the folder `dir`.
    pub fn text(name: &str, dir: &Path) -> Result<String, ProfileError> {
        let name = if name == "demo" { "default" } else { name };
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Ok((*text).to_owned());
        }
        let unknown = || ProfileError::Unknown { name: name.to_owned(), dir: dir.to_owned() };
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fine) || name == UNCONFINED {
            return Err(unknown());
        }
        let path = dir.join(format!("{name}.toml"));
        let read = std::fs::metadata(&path).and_then(|meta| match meta.len() {
            ..=MAX_BYTES => std::fs::read_to_string(&path),
            _ => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {MAX_BYTES} bytes"),
            )),
        });
        read.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => unknown(),
            _ => ProfileError::Read { path, source },
        })
    }

    /// Reads a text.
    pub fn read(name: &str, text: &str) -> Result<Self, ProfileError> {
        let invalid = |why: String| ProfileError::Invalid { name: name.to_owned(), why };
        let profile: Self =
            toml::from_str(text).map_err(|error| invalid(error.to_string().trim().to_owned()))?;
        let Files { run, read, write, .. } = &profile.files;
        for (list, paths) in [("run", run), ("read", read), ("write", write)] {
            if paths.len() > MAX_PATHS {
                return Err(invalid(format!("files.{list} has more than {MAX_PATHS} paths")));
            }
            for path in paths {
                let plain = Path::new(path).components().all(|part| part != std::path::Component::ParentDir);
                let whole = path.trim_end_matches('/');
                if !path.starts_with('/') || !plain || whole.is_empty() || path.contains('\0') {
                    let why = "is not a path that begins with / and leads on from there without ..";
                    return Err(invalid(format!("files.{list}: {path:?} {why}")));
                }
            }
        }
        if !(1..=MAX_TMP).contains(&profile.own.tmp_mb) {
            return Err(invalid(format!("own.tmp_mb must be 1 to {MAX_TMP}")));
        }
        Ok(profile)
    }

    /// Whether a program of the machine's can be run.
    pub(crate) fn runs(&self, program: &Path) -> bool {
        self.files.interpreters || self.files.run.iter().any(|folder| program.starts_with(folder))
    }
}

impl Confinement {
    /// What the plan says, else what the manifest asks for. Only a plan can let a workload run unconfined.
    pub(crate) fn of(asked: &str, planned: Option<&str>, dir: &Path) -> Result<Self, String> {
        match planned {
            Some(UNCONFINED) => return Ok(Self::Unconfined),
            None if asked == UNCONFINED => {
                return Err(
                    "its manifest asks to run unconfined, as any process of this user, which only an \
                            operator can allow: mesh deploy --profile unconfined"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let name = planned.unwrap_or(asked);
        let read = Profile::text(name, dir).and_then(|text| Profile::read(name, &text));
        read.map(|profile| Self::Profile(Arc::new(profile))).map_err(|error| error.to_string())
    }

    /// Whether a program of the machine's can be run.
    pub(crate) fn runs(&self, program: &Path) -> bool {
        match self {
            Self::Unconfined => true,
            Self::Profile(profile) => profile.runs(program),
        }
    }

    /// Whether a machine with these layers knows more of a place that it may reach than TCP and a port.
    pub(crate) fn is_exact(&self, layers: &Layers) -> bool {
        matches!(self, Self::Profile(profile) if layers.exact(profile.kept.by).is_ok())
    }
}

#[cfg(test)]
mod tests;
