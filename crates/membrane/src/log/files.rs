//! The files of a log folder: their names, which is which, opening them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most rotated files a reader looks for.
const MAX_FILES: u32 = 100;
/// How often a reader looks again because files were rotated under its eyes.
const ATTEMPTS: usize = 100;

/// Device and inode: a file, whatever it is called by now, as long as it is held open.
pub(super) type Identity = (u64, u64);

/// The path of the file that was put aside `age` times (0 is the one being written).
pub(super) fn path(dir: &Path, age: u32) -> PathBuf {
    if age == 0 { dir.join("log") } else { dir.join(format!("log.{age}")) }
}

/// Which file this is, whatever it is called by now.
pub(super) fn identity(file: &File) -> io::Result<Identity> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags()).open(path)
}

pub(super) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags()).open(path)
}

/// All files of the folder, newest first.
pub(super) fn open_all(dir: &Path) -> io::Result<Vec<File>> {
    for _ in 1..ATTEMPTS {
        let files = open_once(dir)?;
        let newest = files.first().map(identity).transpose()?;
        if newest.is_none() || newest == current(dir) {
            return Ok(files);
        }
        // Rotated meanwhile: once does no harm, twice may have mixed up the order.
        std::thread::yield_now();
    }
    open_once(dir)
}

/// From the newest on: files only move towards higher numbers, so none is missed. What is met twice
/// is left out, and a number may be missing in the middle of a rotation.
fn open_once(dir: &Path) -> io::Result<Vec<File>> {
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
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(files)
}

/// The file that was begun when the one of this identity was put aside; `None` when that is the
/// newest. If it is gone, the oldest that is left.
pub(super) fn successor(dir: &Path, of: Identity) -> io::Result<Option<File>> {
    for _ in 1..ATTEMPTS {
        let Some(age) = (0..MAX_FILES).find(|age| identity_at(dir, *age) == Some(of)) else {
            return Ok(open_all(dir)?.pop());
        };
        if age == 0 {
            return Ok(None);
        }
        match open(&path(dir, age - 1)) {
            // The older one is moved first: if it stands where it stood, the newer one did as well.
            Ok(next) if identity_at(dir, age) == Some(of) => return Ok(Some(next)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => std::thread::yield_now(),
        }
    }
    // A number is missing for good: the keeper was killed in the middle of a rotation.
    let mut next = None;
    for file in open_all(dir)? {
        if identity(&file)? == of {
            break;
        }
        next = Some(file);
    }
    Ok(next)
}

/// The identity of the file that is being written.
pub(super) fn current(dir: &Path) -> Option<Identity> {
    identity_at(dir, 0)
}

fn identity_at(dir: &Path, age: u32) -> Option<Identity> {
    let meta = std::fs::symlink_metadata(path(dir, age)).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// No links are followed, no device is waited for.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed()
}
