//! The files of the repository that people write, read once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What is read; the rest is not text that this program has rules for.
const EXTENSIONS: [&str; 3] = ["rs", "toml", "sh"];

/// Folders of programs that are not part of the product.
const FOR_TESTS: [&str; 3] = ["tests", "examples", "harness"];

/// A text file.
pub struct File {
    /// From the root of the repository.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

impl File {
    pub fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|e| e == "rs")
    }

    /// `tests.rs`, or anything in a folder `tests`, `examples` (programs for measuring) or `harness`.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
            || self.path.components().any(|c| FOR_TESTS.iter().any(|name| c.as_os_str() == *name))
    }

    /// The folder under `crates/` it belongs to.
    pub fn organ(&self) -> Option<&str> {
        self.path.strip_prefix("crates").ok()?.iter().next()?.to_str()
    }

    /// The number of the line, from 1, at a byte offset.
    pub fn line_at(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count()
    }
}

/// Reads the tree under `root`, sorted by path. Hidden folders, build folders and their like are left out.
pub fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !is_foreign(&path) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|e| EXTENSIONS.iter().any(|x| e == *x)) {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                files.push(File { path: path.strip_prefix(root)?.to_owned(), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.starts_with('.')
        || ["target", "node_modules", "corpus", "out"].contains(&name)
        || folder.join("CACHEDIR.TAG").exists()
}
