//! Policies on disk.

use std::path::Path;

use policy::Module;

use crate::failure::Failure;

/// More than this is no policy.
const MAX_BYTES: u64 = 1 << 20;

/// Every .rego file of a folder and those within it, in the order of their paths; or the one file that is named.
pub(super) fn modules(path: &Path) -> Result<Vec<Module>, Failure> {
    let mut found = Vec::new();
    if path.is_dir() {
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let failed =
                |e| Failure::new(format_args!("failed to read the folder {}: {e}", folder.display()));
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(entry.path());
                } else if is_rego(&entry.path()) {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
    } else {
        found.push(path.to_owned());
    }
    if found.is_empty() {
        return Err(Failure::usage(format_args!("no .rego file is in {}", path.display())));
    }
    found.iter().map(|file| module(file, path)).collect()
}

/// Without those of tests.
pub(super) fn rules(path: &Path) -> Result<Vec<Module>, Failure> {
    Ok(modules(path)?.into_iter().filter(|module| !is_test(&module.name)).collect())
}

/// One file, called by its path within `root`.
fn module(file: &Path, root: &Path) -> Result<Module, Failure> {
    let inside = file.strip_prefix(root).ok().filter(|inside| !inside.as_os_str().is_empty());
    Ok(Module { name: inside.unwrap_or(file).display().to_string(), rego: text(file)? })
}

/// The text of a policy.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    let unread = |e: &dyn std::fmt::Display| {
        Failure::usage(format_args!("failed to read the policy {}: {e}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|e| unread(&e))?.len();
    if length > MAX_BYTES {
        return Err(unread(&format_args!("{length} bytes are more than {MAX_BYTES}")));
    }
    std::fs::read_to_string(file).map_err(|e| unread(&e))
}

/// Whether it holds tests, by its name, as `opa` has them.
pub(super) fn is_test(name: &str) -> bool {
    name.ends_with("_test.rego")
}

fn is_rego(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rego")
}
