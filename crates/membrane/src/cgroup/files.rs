//! Reading and writing the small files of a cgroup; each error names its file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// One write of `text`; the file is never made.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let written =
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| named(&format!("write {text:?} to {}", path.display()), &error))
}

/// All of it.
pub(super) fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map_err(|error| named(&format!("read {}", path.display()), &error))
}

/// The number that is all there is in a file; `None` for `max`, or when it can't be read.
pub(super) fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of lines `key number`.
pub(super) fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The processes directly in a group; those that can't be seen from here are left out.
pub(super) fn processes(group: &Path) -> io::Result<Vec<i32>> {
    numbers(&group.join("cgroup.procs"))
}

/// The processes or threads that a file lists, the same.
pub(super) fn numbers(file: &Path) -> io::Result<Vec<i32>> {
    let text = read(file)?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect())
}

/// The groups directly below one.
pub(super) fn children(group: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(group) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// The same error with what it is about.
pub(super) fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
