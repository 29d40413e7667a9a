//! A folder of keys: `NAME.key` is the secret half (PKCS#8 PEM, 0600), `NAME.pub` the public one (SPKI PEM, 0644).
//!
//! The secret file is the key; the public one is a convenience for `openssl` and for sending to others, is
//! never read here, and comes back when the key is loaded and it is gone.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use types::{Fingerprint, PublicKey, Signer as _};
use zeroize::Zeroizing;

use crate::files::{Locked, make_private_dir};
use crate::{KeyFileError, PemError, SecretKey, public_key_to_pem};

/// Larger than any PEM file of one key with its comments.
const MAX_FILE: u64 = 16 * 1024;

/// A folder of keys.
#[derive(Debug, Clone)]
pub struct KeyStore {
    dir: PathBuf,
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name in the folder.
    pub name: String,
    /// The public half.
    pub public_key: PublicKey,
    /// The public half, short, for people.
    pub fingerprint: Fingerprint,
    /// The file of the secret half.
    pub path: PathBuf,
}

impl KeyStore {
    /// Opens a folder, made (0700) if it isn't there. One that others may write to is refused.
    pub fn open(dir: &Path) -> Result<Self, KeyFileError> {
        make_private_dir(dir).map_err(io_error("create the key folder", dir))?;
        let meta = fs::metadata(dir).map_err(io_error("read the key folder", dir))?;
        let mode = meta.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(KeyFileError::Writable { path: dir.to_owned(), mode });
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Makes a key and both its files. Never overwrites one.
    pub fn create(&self, name: &str) -> Result<SecretKey, KeyFileError> {
        let path = self.path(name)?;
        let key = SecretKey::generate().map_err(|e| KeyFileError::Random(e.to_string()))?;
        let locked = Locked::take(&self.dir).map_err(io_error("lock the key folder", &self.dir))?;
        match locked.create(&secret_file(name), key.to_pem().as_bytes(), 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists { name: name.to_owned(), path });
            }
            created => created.map_err(io_error("write the key", &path))?,
        }
        self.write_public(&locked, name, &key)?;
        Ok(key)
    }

    /// The key of that name.
    pub fn load(&self, name: &str) -> Result<SecretKey, KeyFileError> {
        let key = Self::load_file(&self.path(name)?)?;
        if !self.dir.join(public_file(name)).exists() {
            // A key is as good without its public file: on a read-only folder it just stays away.
            if let Ok(locked) = Locked::take(&self.dir) {
                let _ = self.write_public(&locked, name, &key);
            }
        }
        Ok(key)
    }

    /// The key in any file: PKCS#8 PEM that nobody but its owner may read.
    pub fn load_file(path: &Path) -> Result<SecretKey, KeyFileError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyFileError::NotFound { path: path.to_owned() },
            _ => KeyFileError::Io { doing: "open the key", path: path.to_owned(), source },
        })?;
        // Asked of the open file, so that what is checked is what is read.
        let meta = file.metadata().map_err(io_error("read the key", path))?;
        let mode = meta.permissions().mode() & 0o7777;
        if meta.is_file() && mode & 0o077 != 0 {
            return Err(KeyFileError::Readable { path: path.to_owned(), mode });
        }
        let malformed = |source| KeyFileError::Malformed { path: path.to_owned(), source };
        // Room for all of it from the start: growing would leave copies of the secret behind.
        let room = usize::try_from(MAX_FILE + 1).expect("16 KiB fit");
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io_error("read the key", path))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(malformed(PemError::Malformed));
        }
        let pem = std::str::from_utf8(&bytes).map_err(|_| malformed(PemError::Malformed))?;
        SecretKey::from_pem(pem).map_err(malformed)
    }

    /// The key of that name, made if there is none; and whether it was made now. Safe under concurrent callers.
    pub fn ensure(&self, name: &str) -> Result<(SecretKey, bool), KeyFileError> {
        match self.load(name) {
            Err(KeyFileError::NotFound { .. }) => {}
            loaded => return Ok((loaded?, false)),
        }
        match self.create(name) {
            Err(KeyFileError::Exists { .. }) => Ok((self.load(name)?, false)),
            created => Ok((created?, true)),
        }
    }

    /// Every key by name; one that can't be used is listed as the reason, and hides no other.
    pub fn list(&self) -> Result<Vec<Result<KeyInfo, KeyFileError>>, KeyFileError> {
        let reading = io_error("list the key folder", &self.dir);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(&reading)? {
            let file = entry.map_err(&reading)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".key"));
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names.into_iter().map(|name| self.info(&name)).collect())
    }

    /// Where the secret half of `name` is, or would be.
    pub fn path(&self, name: &str) -> Result<PathBuf, KeyFileError> {
        if is_name(name) {
            Ok(self.dir.join(secret_file(name)))
        } else {
            Err(KeyFileError::Name(name.chars().take(80).collect()))
        }
    }

    /// What may be shown of the key of that name.
    pub fn info(&self, name: &str) -> Result<KeyInfo, KeyFileError> {
        let path = self.path(name)?;
        let public_key = Self::load_file(&path)?.public_key();
        Ok(KeyInfo { name: name.to_owned(), public_key, fingerprint: public_key.fingerprint(), path })
    }

    fn write_public(&self, locked: &Locked, name: &str, key: &SecretKey) -> Result<(), KeyFileError> {
        let file = public_file(name);
        locked
            .replace(&file, public_key_to_pem(&key.public_key()).as_bytes(), 0o644)
            .map_err(io_error("write the public key", &self.dir.join(&file)))
    }
}

fn secret_file(name: &str) -> String {
    format!("{name}.key")
}

fn public_file(name: &str) -> String {
    format!("{name}.pub")
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> KeyFileError {
    move |source| KeyFileError::Io { doing, path: path.to_owned(), source }
}
