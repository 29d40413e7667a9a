//! The keeper's folder: its socket, the lock that makes it the only one, its id, its own log.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::wire::{SOCKET, transport};

/// Held by the keeper as long as it lives; its pid stands in it.
const LOCK: &str = "lock";
/// Held by a client while it starts a keeper.
const START_LOCK: &str = "start.lock";
/// The random id in the markers of this folder's workloads.
const UNIQUE: &str = "id";
/// Where the keeper's cgroups are.
const CGROUPS: &str = "cgroups";
/// What the keeper has to say.
const LOG: &str = "keeper.log";
/// The size at which the keeper's log is begun anew when a keeper starts.
const LOG_BYTES: u64 = 1 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// A lock that is held until this is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct Lock(OwnedFd);

impl Lock {
    /// The lock behind an inherited descriptor.
    pub fn inherited(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread has just forked still has a copy.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// A keeper's folder, by descriptor: its path may be longer than a socket's address.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    folder: OwnedFd,
}

impl Home {
    /// Opens the folder, made with mode 0700 if need be.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&dir, flags, Mode::empty())?;
        Ok(Self { dir, folder })
    }

    /// Its absolute path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lock of the one keeper; an error names the holder.
    pub fn lock(&self) -> io::Result<Lock> {
        let mut file = self.create(LOCK)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = self.holder().map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
                let text = format!("the keeper of {} is alive (pid {holder})", self.dir.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Lock(file.into()))
    }

    /// The keeper that took the lock last.
    pub fn holder(&self) -> Option<i32> {
        std::fs::read_to_string(self.dir.join(LOCK)).ok()?.parse().ok()
    }

    /// Waits until nobody else is starting a keeper here; then one may until it is dropped.
    pub fn start_lock(&self) -> io::Result<Lock> {
        let file = self.create(START_LOCK)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))?;
        Ok(Lock(file.into()))
    }

    /// The folder's own id, made once.
    pub fn unique(&self) -> io::Result<String> {
        let mut file = self.create(UNIQUE)?;
        let mut unique = String::new();
        file.read_to_string(&mut unique)?;
        if unique.len() != 36 {
            unique = read_uuid()?;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(unique.as_bytes())?;
            file.sync_all()?;
        }
        Ok(unique)
    }

    /// The file in which a keeper finds what another one has made of cgroups.
    pub fn cgroups(&self) -> PathBuf {
        self.dir.join(CGROUPS)
    }

    /// The keeper's own log, to append to.
    pub fn log(&self) -> io::Result<OwnedFd> {
        let file = self.options().append(true).open(self.dir.join(LOG))?;
        if file.metadata()?.len() > LOG_BYTES {
            file.set_len(0)?;
        }
        Ok(file.into())
    }

    /// The keeper's socket, in place of one that was left behind. The lock must be held.
    pub fn listen(&self) -> io::Result<OwnedFd> {
        self.unlink_socket();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = rustix::net::bind(&socket, &self.address()?);
        rustix::process::umask(before);
        bound?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    }

    /// Takes the socket away.
    pub fn unlink_socket(&self) {
        let _ = std::fs::remove_file(self.dir.join(SOCKET));
    }

    /// Where the socket is.
    pub fn address(&self) -> io::Result<SocketAddrUnix> {
        transport::address(self.folder.as_fd(), SOCKET)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        self.options().read(true).write(true).truncate(false).open(self.dir.join(name))
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.create(true).mode(0o600);
        options
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Some 36 characters that nobody else has, for names of what others make beside it: in namespaces of their own they may have
/// our process number.
pub(crate) fn chance() -> String {
    read_uuid().unwrap_or_else(|_| format!("{:036x}", std::process::id()))
}

fn read_uuid() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim_end().to_owned())
}
