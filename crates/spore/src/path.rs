//! Names that become files: the program's, and the paths under `files/`.
//!
//! Checked as text, before anything touches a file system: relative, no way up, nothing a terminal
//! or another zip reader would show or read differently.

use crate::bounds::{MAX_COMPONENT_BYTES, MAX_PATH_BYTES};

/// Why `name` can't be the name of one file, if it can't.
pub(crate) fn component_problem(name: &str) -> Option<&'static str> {
    match name {
        "" => return Some("it has an empty component"),
        "." | ".." => return Some("it climbs, or stays where it is"),
        _ => {}
    }
    if name.len() > MAX_COMPONENT_BYTES {
        return Some("a component is longer than 255 bytes");
    }
    if name.contains('/') {
        return Some("it holds a slash");
    }
    if name.contains('\\') {
        return Some("it holds a backslash");
    }
    name.chars().any(is_deceptive).then_some("it holds a control or invisible character")
}

/// Why `path` can't be a path under `files/`, if it can't.
pub(crate) fn path_problem(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("it is longer than 512 bytes");
    }
    path.split('/').find_map(component_problem)
}

/// Every proper ancestor of `path`, outermost first: `a`, `a/b` of `a/b/c`.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Control characters, and those that hide or turn around what follows them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
