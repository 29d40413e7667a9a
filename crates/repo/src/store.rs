//! The folder, and how a digest becomes a file in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::Digest as _;
use types::Digest;

use crate::Error;
use crate::temp::{self, Kind};

/// Large enough that system calls don't show beside the hashing, small enough for the cache.
pub(crate) const CHUNK: usize = 256 * 1024;
/// The lock between those who publish or refresh a name (shared) and gc, which removes names (exclusive).
const LOCK: &str = ".lock";

/// A store of spores in one folder. Cheap to clone; any number of them, in any process, may use one folder.
#[derive(Debug, Clone)]
pub struct Repo {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    temp: Kind,
}

impl Repo {
    /// Opens the store in `dir`, which is made if it isn't there, and removes what dead writers left.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(Error::io("create the repo's folder", dir))?;
        let dir = dir.canonicalize().map_err(Error::io("find the repo's folder", dir))?;
        let temp = Kind::of(&dir);
        Self::open_with(dir, temp)
    }

    /// [`Repo::open`] with a chosen kind of temporary file, so that both can be tested anywhere.
    pub(crate) fn open_with(dir: PathBuf, temp: Kind) -> Result<Self, Error> {
        temp::sweep(&dir)?;
        Ok(Self { inner: Arc::new(Inner { dir, temp }) })
    }

    /// The folder, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The absolute path of a spore, if it is here. What is in the file has not been checked.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.place(digest);
        fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()).then_some(path)
    }

    /// Opens a spore for reading. What is in the file has not been checked: give the digest to whoever
    /// reads it, so that it is checked in the same pass, or use [`Repo::get_verified`].
    pub fn get(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.place(digest);
        match open_file(&path) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Error::NotFound { digest: *digest, dir: self.dir().to_owned() }),
            Err(source) => Err(Error::Open { path, source }),
        }
    }

    /// Opens a spore, hashes all of it, and refuses one that isn't what its name says. The file stands at its start.
    pub fn get_verified(&self, digest: &Digest) -> Result<File, Error> {
        let mut file = self.get(digest)?;
        let path = self.place(digest);
        let actual = hash(&mut file).map_err(Error::io("read", &path))?;
        if actual != *digest {
            return Err(Error::Altered { digest: *digest, path, actual });
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read", &path))?;
        Ok(file)
    }

    /// Where the spore of that digest is, or would be.
    pub(crate) fn place(&self, digest: &Digest) -> PathBuf {
        self.dir().join(format!("{digest}.spore"))
    }

    pub(crate) fn temp(&self) -> Kind {
        self.inner.temp
    }

    /// The lock file, not yet locked. It goes with the process that holds it.
    pub(crate) fn lock_file(&self) -> Result<File, Error> {
        let path = self.dir().join(LOCK);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open the lock", path))
    }
}

/// Opens a regular file and nothing else; `None` if there is none. A link is not followed, a pipe not waited for.
pub(crate) fn open_file(path: &Path) -> io::Result<Option<File>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("open flags fit an int");
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("it is not a file")),
    }
}

/// The SHA-256 of the rest of `source`, in constant memory.
pub(crate) fn hash(source: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = sha2::Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(n) => hasher.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
