//! Which file says what a program is made of: the one of its own ecosystem, beside it or in a folder above.

use std::path::{Path, PathBuf};

use spore::Template;

use super::{Library, cargo, go, maven, npm, python};
use crate::failure::Failure;

/// A lock file larger than this is no lock file of one program.
const MAX_BYTES: u64 = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The libraries.
    pub libraries: Vec<Library>,
    /// What they were read from: `Cargo.lock`.
    pub source: String,
    /// What that does and doesn't cover, in words.
    pub covers: String,
}

/// What a program of this template is made of, as far as anything says so.
pub fn find(template: &Template, binary: &Path, files: Option<&Path>) -> Result<Found, Failure> {
    let interpreter = template.interpreter().and_then(|words| words.split(' ').next());
    let runner = interpreter.and_then(|word| Path::new(word).file_name()?.to_str()).unwrap_or_default();
    let near = Near { binary, files };
    let found = match runner {
        "" => native(template, &near)?,
        "node" | "nodejs" | "bun" | "deno" => near.read("package-lock.json", npm::read)?,
        "java" => near.read("pom.xml", maven::read)?,
        python if python.starts_with("python") || python.starts_with("pypy") => {
            near.read("requirements.txt", python::read)?
        }
        _ => None,
    };
    Ok(found.unwrap_or_else(|| Found {
        libraries: Vec::new(),
        source: "the bundle".to_owned(),
        covers:
            "the program and the files of the bundle by their hashes; no lock file was found that says more"
                .to_owned(),
    }))
}

/// What a native program is made of: its own word where it has one, else that of the lock file it was built by.
fn native(template: &Template, near: &Near) -> Result<Option<Found>, Failure> {
    let unread = |e| Failure::new(format_args!("failed to read {}: {e}", near.binary.display()));
    if let Some(found) = go::in_binary(near.binary).map_err(unread)? {
        return Ok(Some(found));
    }
    let stem = near.binary.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let names = [stem, template.command(), template.name().as_str()];
    match near.read("Cargo.lock", |text| cargo::read(text, &names))? {
        Some(found) => Ok(Some(found)),
        None => near.read("go.sum", go::read_sum),
    }
}

/// The folders in which a lock file may lie.
struct Near<'a> {
    binary: &'a Path,
    files: Option<&'a Path>,
}

impl Near<'_> {
    /// Reads the nearest file of that name: among the files of the bundle, beside the program, or above it up to the
    /// root of its repository.
    fn read(
        &self,
        name: &str,
        reader: impl Fn(&str) -> Result<Found, String>,
    ) -> Result<Option<Found>, Failure> {
        let Some(path) = self.find(name) else { return Ok(None) };
        let failed = |e: &dyn std::fmt::Display| {
            Failure::usage(format_args!("failed to make an SBOM of {}: {e}", path.display()))
                .hint("mend it, or name an SBOM that you made: --sbom FILE")
        };
        let length = std::fs::metadata(&path).map_err(|e| failed(&e))?.len();
        if length > MAX_BYTES {
            return Err(failed(&format_args!("{length} bytes are more than {MAX_BYTES}")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
        reader(&text).map(Some).map_err(|problem| failed(&problem))
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let beside = std::path::absolute(self.binary).ok()?.parent()?.to_owned();
        let root = beside.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&beside);
        let above = beside.ancestors().take_while(|folder| folder.starts_with(root));
        let folders = self.files.into_iter().chain(above);
        folders.map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}
