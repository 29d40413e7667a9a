//! The files of a log folder: their names, which is which, opening them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most rotated files a reader looks for.
const MAX_FILES: u32 = 100;

/// The path of the file that was put aside `age` times (0 is the one being written).
pub(super) fn path(dir: &Path, age: u32) -> PathBuf {
    if age == 0 { dir.join("log") } else { dir.join(format!("log.{age}")) }
}

/// Which file this is, whatever it is called by now.
pub(super) fn identity(file: &File) -> io::Result<(u64, u64)> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags()).open(path)
}

pub(super) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags()).open(path)
}

/// All files of the folder, newest first. Looking in this order, no rotation meanwhile makes one be
/// missed; what is met twice is left out.
pub(super) fn open_all(dir: &Path) -> io::Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    let mut seen = Vec::new();
    for age in 0..MAX_FILES {
        match open(&path(dir, age)) {
            Ok(file) => {
                let identity = identity(&file)?;
                if !seen.contains(&identity) {
                    seen.push(identity);
                    files.push(file);
                }
            }
            // No reason to end: in the middle of a rotation one number in between is missing.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(files)
}

/// No links are followed, no device is waited for.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed()
}
