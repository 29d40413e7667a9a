//! Whole files or none: written beside their place, synced, then linked or renamed into it.
//!
//! The folder's lock serialises writers of all processes; readers need none, since what stands under a
//! final name is always complete. The lock goes with the process that holds it, so a crash leaves no lock
//! behind, and at most one unfinished file (`.new`), which the next writer overwrites.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::FileError;

/// The file whose lock is the folder's lock.
const LOCK: &str = ".lock";
/// Where a file is written before it gets its name.
const NEW: &str = ".new";

/// The right to write into one folder, as long as it lives.
pub struct Locked {
    dir: PathBuf,
    _lock: File,
}

/// Makes `dir` and its parents, readable by their owner only; leaves what exists as it is.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The whole file, at most `max` bytes of it, or nothing where there is none. Others must not be able to write it.
pub fn read_bounded(path: &Path, max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let reading = io_error("read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(&reading)?,
    };
    // Asked of the open file, so that what is checked is what is read.
    let mode = file.metadata().map_err(&reading)?.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(FileError::Writable { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(&reading)?;
    if bytes.len() as u64 > max {
        let reason = format!("it is larger than {max} bytes");
        return Err(FileError::Malformed { path: path.to_owned(), reason });
    }
    Ok(Some(bytes))
}

pub fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::Io { doing, path: path.to_owned(), source }
}

impl Locked {
    /// Waits until no other process writes into `dir`.
    pub fn take(dir: &Path) -> io::Result<Self> {
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK))?;
        lock.lock()?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Creates `name` with `bytes`; [`io::ErrorKind::AlreadyExists`] if it is there, which is then untouched.
    pub fn create(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let new = self.write(bytes, mode)?;
        let linked = fs::hard_link(&new, self.dir.join(name));
        fs::remove_file(&new)?;
        linked?;
        self.sync()
    }

    /// Creates `name` or puts `bytes` in its place; a reader sees the old content or the new, never a part.
    pub fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let new = self.write(bytes, mode)?;
        if let Err(error) = fs::rename(&new, self.dir.join(name)) {
            fs::remove_file(&new)?;
            return Err(error);
        }
        self.sync()
    }

    fn write(&self, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
        let path = self.dir.join(NEW);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Opened exclusively: the mode holds from the first byte, and no link planted here is followed.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(path)
    }

    /// Makes the names durable too.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}
