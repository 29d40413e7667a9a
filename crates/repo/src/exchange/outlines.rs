//! The outlines of the spores that are here whole: made when first asked for, and kept.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use types::Digest;

use super::outline::Outline;
use crate::Repo;

/// How many are kept. The largest has 128 KiB, most have some.
const KEPT: usize = 64;

/// A spore that is here whole.
#[derive(Debug, Clone)]
pub struct Whole {
    pub file: Arc<File>,
    pub outline: Arc<Outline>,
}

/// What came of opening one.
#[derive(Debug)]
pub enum Opened {
    /// Here it is.
    Whole(Whole),
    /// It is here, its outline isn't known.
    Unknown,
    /// It isn't here, or isn't what its name says.
    Absent,
}

/// What was made before, the latest last.
#[derive(Debug, Default)]
pub struct Outlines {
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    digest: Digest,
    /// Of which file: one that was put anew is hashed anew.
    modified: SystemTime,
    /// `None` for a file that isn't what its name says.
    found: Option<Arc<Outline>>,
}

impl Outlines {
    /// Opens a spore; makes its outline if there is none yet, which reads all of it, and only if `make`. Blocks.
    pub fn open(&self, repo: &Repo, digest: &Digest, make: bool) -> io::Result<Opened> {
        let Ok(file) = repo.get(digest) else { return Ok(Opened::Absent) };
        let modified = file.metadata()?.modified()?;
        let outline = match self.find(digest, modified) {
            Some(found) => found,
            None if make => self.make(&file, digest, modified)?,
            None => return Ok(Opened::Unknown),
        };
        Ok(outline.map_or(Opened::Absent, |outline| Opened::Whole(Whole { file: Arc::new(file), outline })))
    }

    /// Keeps what a fetch has proven true.
    pub fn keep(&self, repo: &Repo, digest: &Digest, outline: &Arc<Outline>) {
        let modified = repo.get(digest).and_then(|file| {
            let modified = file.metadata().and_then(|meta| meta.modified());
            modified.map_err(crate::Error::io("read", repo.dir()))
        });
        // what can't be read now is made when it is asked for
        let Ok(modified) = modified else { return };
        self.push(Kept { digest: *digest, modified, found: Some(Arc::clone(outline)) });
    }

    fn make(&self, file: &File, digest: &Digest, modified: SystemTime) -> io::Result<Option<Arc<Outline>>> {
        let (outline, whole) = Outline::of(file)?;
        let found = (whole == *digest).then(|| Arc::new(outline));
        self.push(Kept { digest: *digest, modified, found: found.clone() });
        Ok(found)
    }

    fn find(&self, digest: &Digest, modified: SystemTime) -> Option<Option<Arc<Outline>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let one = kept.iter().find(|one| one.digest == *digest && one.modified == modified)?;
        Some(one.found.clone())
    }

    fn push(&self, one: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.digest != one.digest);
        kept.push_back(one);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}
