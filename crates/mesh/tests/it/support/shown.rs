//! Replaces what differs from run to run, so that whole outputs can be compared.

use std::path::Path;

/// The text with paths, keys, digests, times and versions replaced by their names.
pub fn steady(text: &str, root: &Path) -> String {
    let root = root.to_str().unwrap();
    let text = text.replace(&format!("{root}/state"), "[STATE]").replace(&format!("{root}/work"), "[WORK]");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "+/=:._-".contains(c) {
            word.push(c);
        } else {
            out.push_str(&name_of(&word));
            word.clear();
            out.push(c);
        }
    }
    // Columns are as wide as what was in them.
    let lines = out
        .trim_end()
        .lines()
        .map(|line| if line.contains('[') && line.contains("   ") { squeeze(line) } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

fn name_of(word: &str) -> String {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (core, rest) = match word.trim_end_matches(['.', ':']) {
        core if core.len() < word.len() => (core, &word[core.len()..]),
        core => (core, ""),
    };
    let name = match core {
        _ if core == env!("MESH_VERSION") => "[VERSION]",
        _ if core.len() == 64 && hex(core) => "[DIGEST]",
        _ if core.len() == 12 && hex(core) && core.bytes().any(|b| b.is_ascii_digit()) => "[SHORT]",
        _ if core.starts_with("SHA256:") && core.len() == 50 => "[FINGERPRINT]",
        _ if core.len() == 44 && core.ends_with('=') => "[KEY]",
        _ if core.len() >= 20 && core.ends_with('Z') && core.starts_with("20") => "[TIME]",
        _ => {
            let digest = core.rsplit_once('/').and_then(|(dir, file)| Some((dir, file.split_once('.')?)));
            return match digest {
                Some((dir, (stem, end))) if stem.len() == 64 && hex(stem) => {
                    format!("{dir}/[DIGEST].{end}{rest}")
                }
                _ => word.to_owned(),
            };
        }
    };
    format!("{name}{rest}")
}

fn squeeze(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let cells: Vec<&str> = line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    indent + &cells.join("   ")
}
