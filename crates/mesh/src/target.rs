//! What a person means by a spore: a file, or a digest (or its beginning) in a repo.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use repo::Repo;
use spore::Spore;
use spore::attest::{AttestError, Attestations};
use types::Digest;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;

/// How every spore begins (a zip, APPNOTE 6.3.10 §4.3.7): without it the file was never one.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// A spore that was found.
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// The digest it was asked by.
    pub digest: Option<Digest>,
    /// What it is.
    pub spore: Spore,
}

/// Finds a spore by file name or digest.
pub fn find(context: &Context, text: &str, repo: Option<&Path>) -> Result<Found, Failure> {
    let path = Path::new(text);
    if path.exists() || text.contains('/') || text.ends_with(".spore") {
        return Ok(Found { path: path.to_owned(), digest: None, spore: open(path)? });
    }
    let repo = open_repo(context, repo)?;
    let digest = resolve(&repo, text)?;
    let spore = spore::open(repo.get(&digest)?)?;
    let path = repo.path(&digest).unwrap_or_default();
    Ok(Found { path, digest: Some(digest), spore })
}

/// Opens a .spore file: its manifest's signature holds, its content has not been read.
pub fn open(path: &Path) -> Result<Spore, Failure> {
    let name = path.display();
    let file = File::open(path).map_err(|e| Failure::new(format_args!("failed to open {name}: {e}")))?;
    let mut start = [0; ZIP.len()];
    if file.metadata().is_ok_and(|m| m.is_file())
        && (file.read_exact_at(&mut start, 0).is_err() || start != ZIP)
    {
        return Err(Failure::new(format_args!("{name} is not a spore"))
            .code(Code::Refused)
            .hint("`mesh build` makes one of a binary and its manifest"));
    }
    spore::open(file).map_err(|e| about(path, e))
}

/// An error of a spore with the file it is about.
pub fn about(path: &Path, error: spore::SporeError) -> Failure {
    let mut failure = Failure::from(error);
    failure.error = format!("{}: {}", path.display(), failure.error);
    failure
}

/// What a spore says of itself; whatever of it is false is a refusal.
pub fn attestations(path: &Path, spore: &Spore) -> Result<Attestations, Failure> {
    spore.attestations().map_err(|error| match error {
        AttestError::Spore(error) => about(path, error),
        error => Failure::new(format_args!("{}: failed to {error}", path.display())).code(Code::Refused),
    })
}

/// The repo of `--repo`, or of the state.
pub fn open_repo(context: &Context, dir: Option<&Path>) -> Result<Repo, Failure> {
    let dir = dir.map_or_else(|| context.paths().map(|p| p.repo()), |dir| Ok(dir.to_owned()))?;
    Ok(Repo::open(dir)?)
}

/// Whether a digest may be meant that begins so.
pub fn is_beginning(text: &str) -> bool {
    (4..64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A digest, or the one in the repo that begins so.
fn resolve(repo: &Repo, text: &str) -> Result<Digest, Failure> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let digests: Vec<Digest> = if is_beginning(text) {
        let all = repo.list()?.into_iter().map(|stored| stored.digest);
        all.filter(|digest| digest.to_string().starts_with(text)).collect()
    } else {
        Vec::new()
    };
    match digests[..] {
        [digest] => Ok(digest),
        [] => Err(Failure::usage(format_args!(
            "{text:?} is neither a file nor a spore in {}",
            repo.dir().display()
        ))
        .hint("`mesh repo list` shows what is there")),
        _ => Err(Failure::usage(format_args!("{text:?} means {} spores", digests.len()))
            .hint("write more digits of the digest")),
    }
}
