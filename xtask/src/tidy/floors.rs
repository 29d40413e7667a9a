//! Floors: a crate imports lower floors only; siblings never meet. Tests may look anywhere.

use crate::tidy::Crate;
use crate::violation::Violation;

/// What a pure crate can't import: each brings a runtime, sockets or a clock.
const NOT_PURE: [&str; 9] =
    ["tokio", "tokio-util", "async-std", "smol", "mio", "hyper", "hyper-util", "axum", "socket2"];

pub fn check(crates: &[Crate], glossary: &str) -> Vec<Violation> {
    let mut all = Vec::new();
    for organ in crates.iter().filter(|c| c.is_organ()) {
        let mut add = |line, what: String| all.push(Violation::new(&organ.manifest, line, what));
        let Some(floor) = organ.floor else {
            let what = "no floor; add `[package.metadata.mycelium]` with `floor = N` (see ARCHITECTURE.md)";
            add(1, what.to_owned());
            continue;
        };
        if !glossary.lines().any(|l| l.starts_with('|') && l.contains(&format!("`{}`", organ.name))) {
            add(1, format!("no row in GLOSSARY.md; add one for `{}`", organ.name));
        }
        for (import, ours) in &organ.imports {
            if !ours && organ.is_pure() && NOT_PURE.contains(&&**import) {
                add(
                    organ.line_of(import),
                    format!("{} is pure and can't import {import}; let a higher floor drive it", organ.name),
                );
            }
            if let Some(why) = wrong_way(floor, import, crates).filter(|_| *ours) {
                add(organ.line_of(import), format!("{} (floor {floor}) imports {import}, {why}", organ.name));
            }
        }
    }
    all
}

/// Why a crate on `floor` can't import the crate `import` of the workspace.
fn wrong_way(floor: u64, import: &str, crates: &[Crate]) -> Option<String> {
    let target = crates.iter().find(|c| c.name == import)?;
    match target.floor {
        None => Some("which has no floor: nothing in crates/ may use it".to_owned()),
        Some(above) if above > floor => Some(format!(
            "which is upward (floor {above}); move what is shared down, or have it passed in from above"
        )),
        Some(same) if same == floor => {
            Some("a sibling on the same floor; meet through a type or a trait on a lower one".to_owned())
        }
        Some(_) => None,
    }
}
