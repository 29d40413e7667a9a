//! A spore that is being fetched: `<digest>.partial`, and beside it the journal of its pieces.
//!
//! A piece is written when it matches the outline, and then noted. Neither is synced: after a power cut the journal may
//! promise what the disk lost, so everything that it promises is hashed again before it counts. The file is locked by
//! whoever fetches, so that two processes don't write into one, and gc tells what nobody goes on with.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};
use sha2::Digest as _;
use types::Digest;

use super::journal::{self, Journal};
use super::outline::{Outline, PIECE, hash_piece, offset};
use super::pieces::Pieces;
use crate::store::CHUNK;
use crate::temp::{Temp, is_at};
use crate::{Error, Repo};

mod sweep;

pub use sweep::sweep;

/// The right to write a digest's partial file: its lock, which ends with the last clone of the file.
#[derive(Debug)]
pub struct Claim {
    data: File,
    repo: Repo,
    digest: Digest,
}

/// A spore that is partly here.
#[derive(Debug)]
pub struct Partial {
    claim: Claim,
    outline: Arc<Outline>,
    ledger: Mutex<Ledger>,
    whole: Mutex<Whole>,
    /// Whether the file is written under another outline by now.
    turned: AtomicBool,
}

/// What is here.
#[derive(Debug)]
struct Ledger {
    journal: Journal,
    pieces: Pieces,
}

/// The hash of the whole, as far as pieces follow each other without a gap.
#[derive(Debug, Default)]
struct Whole {
    next: u32,
    hasher: sha2::Sha256,
    chunk: Vec<u8>,
}

/// How the whole turned out.
#[derive(Debug)]
pub enum Finished {
    /// It is the spore, and in the repo.
    Stored(PathBuf),
    /// It isn't: the outline is false. Its pieces may still be of use under another outline.
    False,
}

impl Claim {
    /// Takes the right to write; `None` while another has it.
    pub fn take(repo: &Repo, digest: &Digest) -> Result<Option<Self>, Error> {
        let path = data_path(repo.dir(), digest);
        loop {
            let data = match open(&path) {
                // sealed by one who died before it had its name
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let unsealed = fs::set_permissions(&path, Permissions::from_mode(0o600));
                    unsealed.and_then(|()| open(&path))
                }
                opened => opened,
            };
            let data = data.map_err(|error| repo.write_error("create a file in", error, 0))?;
            match data.try_lock() {
                // it may have got its final name, or been removed, between the two calls
                Ok(()) if !is_at(&data, &path).map_err(Error::io("read", &path))? => {}
                Ok(()) => return Ok(Some(Self { data, repo: repo.clone(), digest: *digest })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            }
        }
    }

    /// Goes on with what an earlier fetch left, if its journal can be read. Every piece is hashed anew.
    pub fn resume(self) -> Result<Result<Partial, Self>, Error> {
        let path = journal_path(self.repo.dir(), &self.digest);
        let Some((outline, noted)) = journal::read(&path) else { return Ok(Err(self)) };
        let mut chunk = vec![0; CHUNK];
        let mut pieces = Pieces::none(outline.count());
        for index in noted {
            let here = hash_piece(&self.data, index, outline.length(index), &mut chunk);
            if here.is_ok_and(|here| outline.piece(index) == Some(&here)) {
                pieces.insert(index);
            }
        }
        self.begin_with(Arc::new(outline), pieces).map(Ok)
    }

    /// Begins with an outline and no piece.
    pub fn begin(self, outline: Arc<Outline>) -> Result<Partial, Error> {
        let pieces = Pieces::none(outline.count());
        self.begin_with(outline, pieces)
    }

    /// Removes what is here.
    pub fn discard(&self) {
        // what can't be removed now is removed by gc
        let _ = fs::remove_file(data_path(self.repo.dir(), &self.digest));
        let _ = fs::remove_file(journal_path(self.repo.dir(), &self.digest));
    }

    fn begin_with(self, outline: Arc<Outline>, pieces: Pieces) -> Result<Partial, Error> {
        let journal = reserve(&self.data, outline.size())
            .and_then(|()| Journal::create(&journal_path(self.repo.dir(), &self.digest), &outline, &pieces));
        match journal {
            Ok(journal) => {
                let ledger = Mutex::new(Ledger { journal, pieces });
                Ok(Partial {
                    claim: self,
                    outline,
                    ledger,
                    whole: Mutex::default(),
                    turned: AtomicBool::new(false),
                })
            }
            Err(error) => {
                self.discard();
                Err(self.repo.write_error("reserve the space for a file in", error, 0))
            }
        }
    }
}

impl Partial {
    /// What it is checked against.
    pub fn outline(&self) -> &Arc<Outline> {
        &self.outline
    }

    /// Which pieces are here.
    pub fn pieces(&self) -> Pieces {
        self.ledger().pieces.clone()
    }

    /// Takes a piece; `false` if it isn't the one that the outline names.
    pub fn write(&self, index: u32, bytes: &[u8]) -> Result<bool, Error> {
        if self.outline.piece(index) != Some(&Digest::of(bytes)) {
            return Ok(false);
        }
        if self.ledger().pieces.has(index) {
            return Ok(true);
        }
        let repo = &self.claim.repo;
        let failed = |error| repo.write_error("write a file in", error, offset(index));
        self.claim.data.write_all_at(bytes, offset(index)).map_err(failed)?;
        // On its way to the disk from here on: then the sync at the end has little left to do.
        let _ =
            fadvise(&self.claim.data, offset(index), NonZeroU64::new(bytes.len() as u64), Advice::DontNeed);
        let mut ledger = self.ledger();
        ledger.journal.note(index).map_err(failed)?;
        ledger.pieces.insert(index);
        Ok(true)
    }

    /// Reads a piece into `buffer`; `false` if it isn't here.
    pub fn read(&self, index: u32, buffer: &mut Vec<u8>) -> io::Result<bool> {
        if !self.ledger().pieces.has(index) {
            return Ok(false);
        }
        read_piece(&self.claim.data, &self.outline, index, buffer)?;
        Ok(!self.turned.load(Ordering::Acquire))
    }

    /// Hashes what follows without a gap, as far as it is here, unless somebody is at it. `landed` is a piece that is
    /// in memory still.
    pub fn hash_ahead(&self, landed: u32, bytes: &[u8]) -> Result<(), Error> {
        let Ok(mut whole) = self.whole.try_lock() else { return Ok(()) };
        if whole.next == landed {
            whole.hasher.update(bytes);
            whole.next += 1;
        }
        self.hash_on(&mut whole)
    }

    fn hash_on(&self, whole: &mut Whole) -> Result<(), Error> {
        let mut chunk = std::mem::take(&mut whole.chunk);
        while self.read(whole.next, &mut chunk).map_err(Error::io("read", self.path()))? {
            whole.hasher.update(&chunk);
            whole.next += 1;
        }
        whole.chunk = chunk;
        Ok(())
    }

    /// Checks the whole, once every piece is here, and gives it its name.
    pub fn finish(&self) -> Result<Finished, Error> {
        let Claim { data, repo, digest } = &self.claim;
        {
            let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
            self.hash_on(&mut whole)?;
            let actual = std::mem::take(&mut whole.hasher).finalize();
            whole.next = 0;
            if Digest::from_bytes(actual.into()) != *digest {
                return Ok(Finished::False);
            }
        }
        let data = data.try_clone().map_err(Error::io("open", self.path()))?;
        // a failure from here on removes the file; then its journal says nothing any more
        let mut temp = Temp::adopt(data, repo.dir(), self.path());
        let entered = repo.enter(&mut temp, *digest, self.outline.size());
        drop(temp);
        let _ = fs::remove_file(journal_path(repo.dir(), digest));
        Ok(Finished::Stored(entered?.1))
    }

    /// Goes on under another outline, with the pieces that are the same in both. Nothing may be written meanwhile.
    pub fn turn(&self, outline: Arc<Outline>) -> Result<Self, Error> {
        let before = self.pieces();
        let mut pieces = Pieces::none(outline.count());
        for index in 0..outline.count() {
            if before.has(index) && self.outline.piece(index) == outline.piece(index) {
                pieces.insert(index);
            }
        }
        self.turned.store(true, Ordering::Release);
        let Claim { data, repo, digest } = &self.claim;
        let data = data.try_clone().map_err(Error::io("open", self.path()))?;
        Claim { data, repo: repo.clone(), digest: *digest }.begin_with(outline, pieces)
    }

    /// Removes what is here.
    pub fn discard(&self) {
        self.claim.discard();
    }

    fn path(&self) -> PathBuf {
        data_path(self.claim.repo.dir(), &self.claim.digest)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a piece of a file whose outline is known.
pub fn read_piece(file: &File, outline: &Outline, index: u32, buffer: &mut Vec<u8>) -> io::Result<()> {
    // a buffer is made large once: to write zeroes over a megabyte costs as much as to read it
    if buffer.len() < PIECE {
        buffer.resize(PIECE, 0);
    }
    buffer.truncate(outline.length(index));
    file.read_exact_at(buffer, offset(index))
}

/// Makes the file as long as it will be, with the disk's promise of room where it gives one.
fn reserve(data: &File, size: u64) -> io::Result<()> {
    data.set_len(size)?;
    if size == 0 {
        return Ok(());
    }
    match fallocate(data, FallocateFlags::empty(), 0, size) {
        // then a full disk shows when a piece is written
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        done => Ok(done?),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

/// Where a spore grows.
fn data_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(format!("{digest}.partial"))
}

/// Where it is noted what has grown.
fn journal_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(format!("{digest}.pieces"))
}
