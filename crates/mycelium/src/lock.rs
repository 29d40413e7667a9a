//! One `mesh` a state folder: a lock that the kernel frees when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// The held lock; freed when dropped.
pub(crate) struct StateLock {
    _file: File,
}

/// Somebody else holds it; their process, when it could be read.
#[derive(Debug)]
pub(crate) enum Held {
    By(Option<u32>),
    Io(io::Error),
}

impl StateLock {
    /// Takes the lock or says at once who holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, Held> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(Held::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(Held::By(text.trim().parse().ok()));
            }
            Err(e) => return Err(Held::Io(e.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(Held::Io)?;
        Ok(Self { _file: file })
    }
}
