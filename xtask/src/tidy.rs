//! The rules of the tree, one file each. Every rule is a plain function of what was read.

use std::path::Path;

use anyhow::Result;

use crate::violation::Violation;
use crate::{generate, tree};

mod crates;
mod floors;
mod functions;
mod graph;
mod heads;
mod licence;
mod marks;
mod powers;
mod sizes;

pub use crates::Crate;

/// Everything that is wrong, sorted by place.
pub fn run(root: &Path) -> Result<Vec<Violation>> {
    let files = tree::read(root)?;
    let crates = crates::read(root)?;
    let glossary = std::fs::read_to_string(root.join("GLOSSARY.md")).unwrap_or_default();
    let mut all = Vec::new();
    all.extend(sizes::check(&files, &crates));
    all.extend(functions::check(&files));
    all.extend(heads::check(&files));
    all.extend(marks::check(&files));
    all.extend(floors::check(&crates, &glossary));
    all.extend(powers::check(&files, &crates));
    all.extend(graph::check(&graph::read(root)?, &std::fs::read_to_string(root.join("Cargo.lock"))?));
    all.extend(generate::check(root)?);
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests;
