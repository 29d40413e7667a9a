//! What a source tree is called: `v{semver}-{7-digit sha}`, from its VERSION file and its commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use spore::Identity;
use types::Timestamp;

use crate::failure::Failure;

/// The file that says the semantic version.
const VERSION_FILE: &str = "VERSION";

/// The identity of a source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// What everything built from it is called.
    pub tag: String,
    /// How far the tag can be trusted to name this content.
    pub commit: Commit,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
}

/// What is known of a tree's commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// The tree is as it was committed.
    Clean,
    /// So many files are not.
    Dirty(usize),
    /// Not a git repository, or one without a commit, or there is no git.
    Unknown,
}

impl Tree {
    /// The tree that `folder` is part of. `version` is what its manifest says, for a tree without a VERSION file.
    pub fn of(folder: &Path, version: &str) -> Result<Self, Failure> {
        let root = git(folder, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
        let (semver, source) = semver(folder, root.as_deref(), version)?;
        if spore::identity(&semver) == Identity::Latest {
            return Ok(Self { tag: "latest".to_owned(), commit: Commit::Unknown, committed_at: None });
        }
        let (sha, commit, committed_at) = commit(folder);
        let dirty = if commit == Commit::Clean { "" } else { "-dirty" };
        let tag = format!("v{semver}-{sha}{dirty}");
        match spore::identity(&tag) {
            Identity::Commit { .. } => Ok(Self { tag, commit, committed_at }),
            _ => {
                Err(Failure::usage(format_args!("{source} says {semver:?}, which is not a semantic version"))
                    .hint("write three numbers, like 1.2.3"))
            }
        }
    }

    /// What a person should know about the tag, when there is something.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match &self.commit {
            _ if self.tag == "latest" => {
                Some("the version \"latest\" says nothing; release, publish and deploy refuse it".to_owned())
            }
            Commit::Clean => None,
            Commit::Dirty(files) => Some(format!(
                "{files} uncommitted {}: this is {}, which no commit can reproduce",
                if *files == 1 { "file" } else { "files" },
                self.tag
            )),
            Commit::Unknown => {
                Some(format!("no git commit here: this is {}, which nothing can reproduce", self.tag))
            }
        }
    }
}

/// The time of a tree's commit, when it has one.
#[must_use]
pub fn committed_at(folder: &Path) -> Option<Timestamp> {
    git(folder, &["log", "-1", "--format=%ct"])?.parse().ok().map(Timestamp::from_secs)
}

/// The semantic version, and what says so: the nearest VERSION up to the root of the repository, or the manifest.
fn semver(folder: &Path, root: Option<&Path>, version: &str) -> Result<(String, String), Failure> {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    for dir in folder.ancestors() {
        let file = dir.join(VERSION_FILE);
        if file.is_file() {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::new(format_args!("failed to read {}: {e}", file.display())))?;
            let text = text.trim();
            return Ok((text.strip_prefix('v').unwrap_or(text).to_owned(), file.display().to_string()));
        }
        if root.is_none_or(|root| root == dir) {
            break;
        }
    }
    let semver = match spore::identity(version) {
        Identity::Commit { semver, .. } => semver,
        _ => version.strip_prefix('v').unwrap_or(version).to_owned(),
    };
    Ok((semver, "the manifest".to_owned()))
}

fn commit(folder: &Path) -> (String, Commit, Option<Timestamp>) {
    let unknown = || ("0000000".to_owned(), Commit::Unknown, None);
    let Some(sha) = git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]).filter(|s| s.len() >= 7)
    else {
        return unknown();
    };
    // Without optional locks `status` doesn't touch the index. It asks from the root, whatever the folder.
    let Some(status) = git(folder, &["--no-optional-locks", "status", "--porcelain"]) else {
        return unknown();
    };
    let commit = match status.lines().count() {
        0 => Commit::Clean,
        files => Commit::Dirty(files),
    };
    (sha[..7].to_owned(), commit, committed_at(folder))
}

/// The whole name of a tree's commit, if it has one, and how far the tree is that commit.
pub fn tree(folder: &Path) -> (Option<String>, Commit) {
    let sha = git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]).filter(|sha| sha.len() >= 40);
    (sha, commit(folder).1)
}

/// What git says, if it says anything.
pub fn git(folder: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests;
