//! `requirements.txt`: what pip installs; complete only where every line is pinned, as `pip freeze` writes it.

use super::cargo::is_hex;
use super::{Found, Library, encoded};

/// Reads a requirements file (pip's reference, "Requirements File Format").
pub(super) fn read(text: &str) -> Result<Found, String> {
    // A backslash at the end goes on in the next line.
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut libraries = Vec::new();
    let mut loose = 0;
    for line in joined.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(option) = line.strip_prefix('-') {
            let first = option.split([' ', '=']).next().unwrap_or_default();
            if matches!(first, "r" | "-requirement" | "e" | "-editable") {
                return Err(format!("it goes on elsewhere ({line}): write one file with `pip freeze`"));
            }
            continue;
        }
        let library = requirement(line)?;
        loose += usize::from(library.version.is_none());
        libraries.push(library);
    }
    let covers = match loose {
        0 => "what pip installs: every line is pinned".to_owned(),
        loose => format!("what it names: {loose} of {} lines pin no version", libraries.len()),
    };
    Ok(Found { libraries, source: "requirements.txt".to_owned(), covers })
}

fn requirement(line: &str) -> Result<Library, String> {
    let (said, options) = line.split_once(" --").map_or((line, ""), |(said, options)| (said, options));
    let said = said.split(';').next().unwrap_or_default().trim();
    let end = said.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(said.len());
    let (name, rest) = said.split_at(end);
    if name.is_empty() {
        return Err(format!("{line:?} names no package"));
    }
    let rest = rest.trim();
    let rest = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest);
    let pin = rest.trim().strip_prefix("==").map(|rest| rest.trim_start_matches('=').trim());
    let version = pin.filter(|pin| !pin.is_empty() && !pin.contains(['*', ',', ' '])).map(str::to_owned);
    let sums: Vec<_> =
        options.split_whitespace().filter_map(|word| word.split_once("hash=sha256:")).collect();
    // Several are those of several archives of one version: which one is installed isn't known.
    let hash = match sums[..] {
        [(_, sum)] if is_hex(sum, 64) => Some(("SHA-256", sum.to_owned())),
        _ => None,
    };
    let normal = normalised(name);
    let at = version.as_deref().map(|version| format!("@{}", encoded(version))).unwrap_or_default();
    Ok(Library { purl: format!("pkg:pypi/{}{at}", encoded(&normal)), name: normal, version, hash })
}

/// PEP 503: lower case, runs of `-`, `_` and `.` are one `-`.
fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}
