//! Files that are being written: without a name where the file system can (`O_TMPFILE`), else as `.tmp-…`.
//!
//! The nameless kind vanishes with its writer. The named kind is locked by its writer for as long as it
//! lives, so that [`sweep`] can tell what a dead one left from what a live one is writing.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags};

use crate::Error;

const PREFIX: &str = ".tmp-";

/// How a file is kept out of sight until it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has no name.
    Nameless,
    /// It has a name that nobody looks for.
    Named,
}

/// A file that is being written. Unless published, it is gone when dropped.
#[derive(Debug)]
pub struct Temp {
    file: File,
    dir: PathBuf,
    /// The name it has, if it has one.
    name: Option<PathBuf>,
}

impl Kind {
    /// What the file system of `dir` can do. Linking a nameless file needs `/proc` as well.
    pub fn of(dir: &Path) -> Self {
        match nameless(dir) {
            Ok(file) if fs::metadata(proc_path(&file)).is_ok() => Self::Nameless,
            _ => Self::Named,
        }
    }
}

impl Temp {
    pub fn create(dir: &Path, kind: Kind) -> io::Result<Self> {
        if kind == Kind::Nameless {
            return Ok(Self { file: nameless(dir)?, dir: dir.to_owned(), name: None });
        }
        loop {
            let path = fresh_name(dir)?;
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            // A sweep may come between the two calls; then the name is gone and another is needed.
            match file.try_lock() {
                Ok(()) if is_at(&file, &path)? => {
                    return Ok(Self { file, dir: dir.to_owned(), name: Some(path) });
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// A file that has a name of another kind, and is locked by whoever writes it.
    pub fn adopt(file: File, dir: &Path, name: PathBuf) -> Self {
        Self { file, dir: dir.to_owned(), name: Some(name) }
    }

    /// Makes the content durable and read-only.
    pub fn seal(&self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(0o444))?;
        self.file.sync_all()
    }

    /// Gives the file its final name, where there is nothing or something to be replaced, and makes the name durable.
    pub fn publish(&mut self, place: &Path, replace: bool) -> io::Result<()> {
        if self.name.is_none() {
            if !replace {
                self.link(place)?;
                return sync_dir(&self.dir);
            }
            // A nameless file can't be linked over another; with a name it can be renamed over it. The lock
            // comes first, so that no sweep takes the name for a dead writer's.
            self.file.lock()?;
            let path = fresh_name(&self.dir)?;
            self.link(&path)?;
            self.name = Some(path);
        }
        if let Some(name) = &self.name {
            fs::rename(name, place)?;
            self.name = None;
        }
        sync_dir(&self.dir)
    }

    fn link(&self, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, proc_path(&self.file), CWD, to, AtFlags::SYMLINK_FOLLOW)?)
    }
}

impl Write for Temp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // If it fails, the next sweep does it.
            let _ = fs::remove_file(name);
        }
    }
}

/// Removes what dead writers left in `dir`; what live ones are writing stays.
pub fn sweep(dir: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(dir).map_err(Error::io("list the repo", dir))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("list the repo", dir))?;
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let path = entry.path();
        // Already gone, or not ours to open: either way there is nothing to do about it here.
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && is_at(&file, &path).unwrap_or(false) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove the unfinished", path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn nameless(dir: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::TMPFILE.bits()).expect("open flags fit an int");
    OpenOptions::new().read(true).write(true).custom_flags(flags).mode(0o600).open(dir)
}

fn proc_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn fresh_name(dir: &Path) -> io::Result<PathBuf> {
    let random = getrandom::u64().map_err(io::Error::other)?;
    Ok(dir.join(format!("{PREFIX}{random:016x}")))
}

/// Whether `path` still leads to the very file that is open.
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok((meta.dev(), meta.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
