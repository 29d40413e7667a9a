//! Storing: one streaming pass that hashes and writes, then sync, then the name.

use std::fs::{File, FileTimes};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::Digest as _;
use types::Digest;

use crate::store::{CHUNK, hash, open_file};
use crate::temp::{Temp, sync_dir};
use crate::{Error, Repo};

/// What stands under a digest's name.
enum Standing {
    Nothing,
    /// The very content; the open file.
    Same(File),
    /// Something else: damaged, altered, not a file.
    Other,
}

impl Repo {
    /// Stores everything `source` yields; returns its SHA-256 and its absolute path.
    ///
    /// When this returns, the spore is on disk under its name. When it fails, nothing was added. Content that
    /// is there already is left alone (its age starts anew), unless it was altered: then it is replaced.
    pub fn put(&self, mut source: impl Read) -> Result<(Digest, PathBuf), Error> {
        let dir = self.dir();
        let mut temp =
            Temp::create(dir, self.temp()).map_err(|e| self.write_error("create a file in", e, 0))?;
        let (digest, bytes) = self.copy(&mut source, &mut temp)?;
        self.enter(&mut temp, digest, bytes)
    }

    /// Syncs a file whose content is known, and gives it its name.
    pub(crate) fn enter(
        &self,
        temp: &mut Temp,
        digest: Digest,
        bytes: u64,
    ) -> Result<(Digest, PathBuf), Error> {
        let place = self.place(&digest);
        let _lock = self.lock_shared()?;
        let replace = match self.standing(&digest)? {
            Standing::Same(file) => return self.refresh(&file, digest, place),
            Standing::Nothing => false,
            Standing::Other => true,
        };
        temp.seal().map_err(|e| self.write_error("sync a file in", e, bytes))?;
        let mut published = temp.publish(&place, replace);
        if published.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::AlreadyExists) {
            // Another writer was faster: mostly with the same content.
            if let Standing::Same(file) = self.standing(&digest)? {
                return self.refresh(&file, digest, place);
            }
            published = temp.publish(&place, true);
        }
        published.map_err(|e| self.write_error("name a file in", e, bytes))?;
        Ok((digest, place))
    }

    /// Stores a copy of the file at `path`. Nothing is written when the same content is here already.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, PathBuf), Error> {
        let mut file = File::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let meta = file.metadata().map_err(Error::io("read", path))?;
        if !meta.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        // Reading twice pays only where it may save the writing.
        if self.list()?.iter().any(|stored| stored.bytes == meta.len()) {
            let digest = hash(&mut file).map_err(Error::io("read", path))?;
            let lock = self.lock_shared()?;
            if let Standing::Same(same) = self.standing(&digest)? {
                return self.refresh(&same, digest, self.place(&digest));
            }
            drop(lock);
            file.seek(SeekFrom::Start(0)).map_err(Error::io("read", path))?;
        }
        self.put(file)
    }

    /// Shared among writers; gc alone excludes them, so that no name goes between a look at it and its use.
    fn lock_shared(&self) -> Result<File, Error> {
        let lock = self.lock_file()?;
        lock.lock_shared().map_err(Error::io("lock the repo", self.dir()))?;
        Ok(lock)
    }

    fn copy(&self, source: &mut impl Read, temp: &mut Temp) -> Result<(Digest, u64), Error> {
        let mut hasher = sha2::Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut bytes = 0;
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) => return Ok((Digest::from_bytes(hasher.finalize().into()), bytes)),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Source { read: bytes, source }),
            };
            hasher.update(&chunk[..read]);
            temp.write_all(&chunk[..read]).map_err(|e| self.write_error("write a file in", e, bytes))?;
            bytes += read as u64;
        }
    }

    /// Looks at what stands under the name, and hashes it: a put of content that was damaged here repairs it.
    fn standing(&self, digest: &Digest) -> Result<Standing, Error> {
        let place = self.place(digest);
        let mut file = match open_file(&place) {
            Ok(None) => return Ok(Standing::Nothing),
            Ok(Some(file)) => file,
            Err(_) => return Ok(Standing::Other),
        };
        match hash(&mut file) {
            Ok(actual) if actual == *digest => Ok(Standing::Same(file)),
            _ => Ok(Standing::Other),
        }
    }

    /// Starts the age of what is there anew, for gc, and makes sure that its name is durable.
    fn refresh(&self, file: &File, digest: Digest, place: PathBuf) -> Result<(Digest, PathBuf), Error> {
        match file.set_times(FileTimes::new().set_modified(SystemTime::now())) {
            // Another user's file: then gc is another user's business too.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            done => done.map_err(Error::io("refresh", &place))?,
        }
        sync_dir(self.dir()).map_err(Error::io("sync", self.dir()))?;
        Ok((digest, place))
    }

    /// A failed write: what is full, if that is why.
    pub(crate) fn write_error(&self, doing: &'static str, source: io::Error, written: u64) -> Error {
        let reason = match source.kind() {
            io::ErrorKind::StorageFull => "the disk is full",
            io::ErrorKind::QuotaExceeded => "the quota is used up",
            io::ErrorKind::FileTooLarge => "the file size limit (ulimit -f) is reached",
            _ => return Error::io(doing, self.dir())(source),
        };
        let free = rustix::fs::statvfs(self.dir()).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        Error::Full { dir: self.dir().to_owned(), reason, written, free }
    }
}
