//! Removing what nobody needs.
//!
//! What is needed is the caller's to say; what was put a short while ago stays as well, since a plan that
//! names it may be on its way.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use types::Digest;

use crate::exchange::partial;
use crate::temp::{self, sync_dir};
use crate::{Error, Repo, Stored};

impl Repo {
    /// Removes every spore that `keep` doesn't want and that was last put at least `min_age` ago, and
    /// what dead writers left, fetches that nobody went on with included; returns the spores that were removed. A put that runs meanwhile loses nothing.
    pub fn gc(&self, keep: &dyn Fn(&Digest) -> bool, min_age: Duration) -> Result<Vec<Stored>, Error> {
        let dir = self.dir();
        temp::sweep(dir)?;
        partial::sweep(self, keep, min_age)?;
        let lock = self.lock_file()?;
        lock.lock().map_err(Error::io("lock the repo", dir))?;
        // Ages are read under the lock, hence after every put that has refreshed one.
        let now = SystemTime::now();
        let old = |stored: &Stored| now.duration_since(stored.modified).is_ok_and(|age| age >= min_age);
        let mut removed = Vec::new();
        for stored in self.list()? {
            if keep(&stored.digest) || !old(&stored) {
                continue;
            }
            let place = self.place(&stored.digest);
            match fs::remove_file(&place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                gone => {
                    gone.map_err(Error::io("remove", place))?;
                    removed.push(stored);
                }
            }
        }
        sync_dir(dir).map_err(Error::io("sync", dir))?;
        Ok(removed)
    }
}
