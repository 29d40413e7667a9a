//! From a manifest and a binary to a `.spore` file: what `build`, `up`, `release` and `deploy ./binary` share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use spore::attest::Provenance;
use spore::{Identity, PackError, Packed, Source, Template};
use types::{Signer, Timestamp};

use crate::exit::Code;
use crate::failure::Failure;
use crate::identity::committed_at;
use crate::{provenance, sbom};

/// Reads a manifest that is to be packed.
pub fn template(path: &Path) -> Result<Template, Failure> {
    let bytes = fs::read(path).map_err(|e| {
        Failure::new(format_args!("failed to read the manifest {}: {e}", path.display()))
            .code(Code::Usage)
            .hint("examples/billing.json shows what a manifest looks like")
    })?;
    Template::from_slice(&bytes).map_err(|e| {
        Failure::usage(format_args!("{}: {e}", path.display())).hint("examples/billing.json is a whole one")
    })
}

/// What goes into a spore besides its manifest.
pub struct Contents {
    /// The program.
    pub binary: PathBuf,
    /// A folder whose content comes with it.
    pub files: Option<PathBuf>,
    /// What the manifest will state; `None` takes it from the sources.
    pub created_at: Option<Timestamp>,
    /// What the spore says of itself.
    pub attest: Attest,
}

/// What a spore is to say of itself.
#[derive(Debug, Default)]
pub struct Attest {
    /// What it is made of.
    pub sbom: Option<Bill>,
    /// From what it was built, by this builder.
    pub provenance: Option<String>,
    /// A Sigstore bundle over the publisher's key.
    pub publisher: Option<PathBuf>,
}

/// Where an SBOM comes from.
#[derive(Debug, Clone)]
pub enum Bill {
    /// It is made of what stands beside the program.
    Made,
    /// Somebody made it.
    Given(PathBuf),
}

/// Packs into `{dir}/{name}-{version}.spore`; an older file of that name is replaced at once.
pub fn pack(
    template: &Template,
    contents: &Contents,
    signer: &dyn Signer,
    dir: &Path,
) -> Result<(PathBuf, Packed), Failure> {
    let mut source = Source {
        binary: &contents.binary,
        files: contents.files.as_deref().map(walk).transpose()?.unwrap_or_default(),
        created_at: created_at(contents)?,
    };
    let scratch = attest(template, contents, &mut source, signer)?;
    fs::create_dir_all(dir)
        .map_err(|e| Failure::new(format_args!("failed to create {}: {e}", dir.display())))?;
    let path = dir.join(format!("{}-{}.spore", template.name(), file_part(template.version())));
    let temporary = dir.join(format!(".{}.{}.tmp", template.name(), std::process::id()));
    let unwritten = |e| Failure::new(format_args!("failed to write {}: {e}", path.display()));
    let packed = File::create(&temporary)
        .map_err(unwritten)
        .and_then(|mut out| match spore::pack(template, &source, signer, &mut out) {
            Err(PackError::Write(error)) => Err(unwritten(error)),
            packed => Ok(packed?),
        })
        .and_then(|packed| fs::rename(&temporary, &path).map(|()| packed).map_err(unwritten))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    drop(scratch);
    Ok((path, packed))
}

/// Adds what the spore says of itself to its files; they lie in the folder that is returned.
fn attest(
    template: &Template,
    contents: &Contents,
    source: &mut Source<'_>,
    signer: &dyn Signer,
) -> Result<Option<tempfile::TempDir>, Failure> {
    let Attest { sbom, provenance, publisher } = &contents.attest;
    if sbom.is_none() && provenance.is_none() && publisher.is_none() {
        return Ok(None);
    }
    let binary = sbom::digest(&contents.binary)?;
    let mut made = Vec::new();
    if let Some(bill) = sbom {
        let bytes = match bill {
            Bill::Given(path) => sbom::given(path)?,
            Bill::Made => {
                let found = sbom::find(template, &contents.binary, contents.files.as_deref())?;
                let files = sbom::digests(&source.files)?;
                let about = sbom::About { template, binary, files: &files, created_at: source.created_at };
                sbom::document(&about, &found)?
            }
        };
        made.push((spore::attest::SBOM, bytes));
    }
    if let Some(builder) = provenance {
        let folder = beside(&contents.binary);
        let named = (template.name().as_str(), template.version());
        let predicate = provenance::predicate(folder, named, builder, source.created_at)?;
        let sealed = Provenance::seal(template.command(), &binary, &predicate, signer);
        let bytes = sealed.map_err(|e| Failure::new(format_args!("failed to sign the provenance: {e}")))?;
        made.push((spore::attest::PROVENANCE, bytes));
    }
    if let Some(path) = publisher {
        made.push((spore::attest::PUBLISHER, crate::vouch::read(path, lichen::MAX_BUNDLE_BYTES)?));
    }
    let failed = |e| Failure::new(format_args!("failed to write down what the spore says of itself: {e}"));
    let scratch = tempfile::tempdir().map_err(failed)?;
    for (at, (name, bytes)) in made.into_iter().enumerate() {
        let path = scratch.path().join(at.to_string());
        fs::write(&path, bytes).map_err(failed)?;
        source.files.push((name.to_owned(), path));
    }
    Ok(Some(scratch))
}

/// The folder that a file lies in.
fn beside(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `latest` names nothing: outside development it is refused.
pub fn refuse_latest(version: &str) -> Result<(), Failure> {
    if spore::identity(version) != Identity::Latest {
        return Ok(());
    }
    Err(Failure::new("the version \"latest\" names no content, and is for development only")
        .code(Code::Refused)
        .hint("state a version in the manifest, or let `mesh release` stamp it from VERSION and the commit"))
}

/// `SOURCE_DATE_EPOCH` (reproducible-builds.org), else the commit's time, else the binary's.
fn created_at(contents: &Contents) -> Result<Timestamp, Failure> {
    if let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let seconds = text.to_str().and_then(|t| t.parse().ok());
        return seconds.map(Timestamp::from_secs).ok_or_else(|| {
            Failure::usage(format_args!("SOURCE_DATE_EPOCH is {text:?}, which is no number of seconds"))
        });
    }
    if let Some(known) = contents.created_at.or_else(|| committed_at(beside(&contents.binary))) {
        return Ok(known);
    }
    let modified = fs::metadata(&contents.binary).and_then(|m| m.modified()).unwrap_or(UNIX_EPOCH);
    Ok(Timestamp::from_secs(Timestamp::from(modified).as_millis() / 1000))
}

/// Every file under `root` with its path there.
fn walk(root: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |e| Failure::new(format_args!("failed to read the folder {}: {e}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let inside = path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned);
            let inside = inside.ok_or_else(|| {
                Failure::usage(format_args!("the file name {} is not UTF-8", path.display()))
            })?;
            found.push((inside, path));
        }
    }
    found.sort();
    Ok(found)
}

/// A version as part of a file name.
fn file_part(version: &str) -> String {
    version.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '_' }).collect()
}
