//! The trust store: whose spores may run on this machine, in one file, `trust.json`.
//!
//! Every process reads the file anew when it has changed, so that `mesh trust add` counts at once in a
//! running mesh. A file that isn't what we write is an error that names it: it never reads as "nobody is
//! trusted", since the next `add` would then replace what a person has to repair.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use types::{Fingerprint, PublicKey, Timestamp};

use crate::files::{Locked, make_private_dir};
use crate::{FindError, TrustError};

pub(crate) mod format;

/// The name of the file in its folder.
const FILE: &str = "trust.json";
/// More than 50,000 publishers.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The publishers this machine trusts. Share it by reference: it may be used from many threads.
#[derive(Debug)]
pub struct TrustStore {
    dir: PathBuf,
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// A publisher we believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The key.
    pub public_key: PublicKey,
    /// The key, short, for people.
    pub fingerprint: Fingerprint,
    /// Whose it is, for people.
    pub comment: String,
    /// Since when.
    pub added_at: Timestamp,
}

type Publishers = Arc<BTreeMap<PublicKey, Trusted>>;

/// The file as it was last read. It is kept open: its inode number can't be given to another file meanwhile.
#[derive(Debug, Default)]
struct Seen {
    file: Option<(File, Stamp)>,
    publishers: Publishers,
}

/// What changes when the file does: device, inode, size, times of change (seconds, nanoseconds).
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

impl TrustStore {
    /// Opens the store in `dir`, which is made (0700) if it isn't there. No file means nobody is trusted yet.
    pub fn open(dir: &Path) -> Result<Self, TrustError> {
        make_private_dir(dir).map_err(io_error("create the folder", dir))?;
        let store = Self { dir: dir.to_owned(), path: dir.join(FILE), seen: Mutex::default() };
        store.publishers()?;
        Ok(store)
    }

    /// Where the store is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Trusts `key` from now on; whether it wasn't trusted before. A non-empty comment replaces the old one.
    pub fn add(&self, key: PublicKey, comment: &str, now: Timestamp) -> Result<bool, TrustError> {
        if !format::is_comment(comment) {
            return Err(TrustError::Comment { comment: comment.chars().take(80).collect() });
        }
        self.change(|publishers| {
            let mut new = false;
            let entry = publishers.entry(key).or_insert_with(|| {
                new = true;
                let comment = comment.to_owned();
                Trusted { public_key: key, fingerprint: key.fingerprint(), comment, added_at: now }
            });
            if !comment.is_empty() {
                comment.clone_into(&mut entry.comment);
            }
            new
        })
    }

    /// Trusts `key` no longer; whether it was trusted.
    pub fn remove(&self, key: &PublicKey) -> Result<bool, TrustError> {
        self.change(|publishers| publishers.remove(key).is_some())
    }

    /// Whether spores signed by `key` may run here, as the file stands at this moment.
    pub fn trusts(&self, key: &PublicKey) -> Result<bool, TrustError> {
        Ok(self.publishers()?.contains_key(key))
    }

    /// Everybody who is trusted, oldest first.
    pub fn list(&self) -> Result<Vec<Trusted>, TrustError> {
        let mut all: Vec<_> = self.publishers()?.values().cloned().collect();
        all.sort_by_key(|trusted| (trusted.added_at, trusted.public_key));
        Ok(all)
    }

    /// The one key that `text` means: a key, a fingerprint or its unmistakable beginning, or a comment.
    pub fn find(&self, text: &str) -> Result<Trusted, FindError> {
        let publishers = self.publishers()?;
        if let Some(found) = crate::public_key_from_text(text).ok().and_then(|key| publishers.get(&key)) {
            return Ok(found.clone());
        }
        let text = text.trim();
        let prefix = text.strip_prefix("SHA256:").unwrap_or(text);
        let by_fingerprint = |trusted: &&Trusted| {
            let print = trusted.fingerprint.to_string();
            prefix.len() >= 4 && print.strip_prefix("SHA256:").is_some_and(|p| p.starts_with(prefix))
        };
        let mut found: Vec<_> = publishers.values().filter(by_fingerprint).collect();
        if found.is_empty() && !text.is_empty() {
            found = publishers.values().filter(|trusted| trusted.comment == text).collect();
        }
        match found[..] {
            [one] => Ok(one.clone()),
            [] => Err(FindError::None { text: text.chars().take(80).collect() }),
            _ => Err(FindError::Ambiguous {
                text: text.to_owned(),
                matches: found.iter().map(|trusted| trusted.fingerprint.to_string()).collect(),
            }),
        }
    }

    /// Reads, changes and writes under the lock; writes nothing when nothing has changed.
    fn change<T>(&self, edit: impl FnOnce(&mut BTreeMap<PublicKey, Trusted>) -> T) -> Result<T, TrustError> {
        let locked = Locked::take(&self.dir).map_err(io_error("lock the folder", &self.dir))?;
        let before = self.publishers()?;
        let mut after = (*before).clone();
        let result = edit(&mut after);
        if after != *before {
            let bytes = format::encode(after.values());
            locked.replace(FILE, &bytes, 0o644).map_err(io_error("write the trust store", &self.path))?;
        }
        Ok(result)
    }

    /// The publishers as the file states them now; it is read only when it has changed.
    fn publishers(&self) -> Result<Publishers, TrustError> {
        // A thread that panicked in here has changed nothing: `Seen` is replaced as a whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *seen = Seen::default();
                return Ok(Arc::clone(&seen.publishers));
            }
            meta => meta.map_err(io_error("read the trust store", &self.path))?,
        };
        if seen.file.as_ref().is_none_or(|(_, stamp)| *stamp != stamp_of(&meta)) {
            *seen = self.read()?;
        }
        Ok(Arc::clone(&seen.publishers))
    }

    fn read(&self) -> Result<Seen, TrustError> {
        let reading = io_error("read the trust store", &self.path);
        let file = File::open(&self.path).map_err(&reading)?;
        let meta = file.metadata().map_err(&reading)?;
        let mode = meta.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(TrustError::Writable { path: self.path.clone(), mode });
        }
        let mut bytes = Vec::new();
        (&file).take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(&reading)?;
        let malformed = |reason| TrustError::Malformed { path: self.path.clone(), reason };
        if bytes.len() as u64 > MAX_FILE {
            return Err(malformed(format!("larger than {MAX_FILE} bytes")));
        }
        let publishers = Arc::new(format::decode(&bytes).map_err(malformed)?);
        Ok(Seen { file: Some((file, stamp_of(&meta))), publishers })
    }
}

fn stamp_of(meta: &fs::Metadata) -> Stamp {
    let (ino, size) = (meta.ino(), meta.size());
    (meta.dev(), ino, size, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
}

fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> TrustError {
    move |source| TrustError::Io { doing, path: path.to_owned(), source }
}
