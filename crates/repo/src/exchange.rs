//! Spores between nodes: fetched from several peers at once, and served to others, from the first piece on.
//!
//! A spore travels in pieces of 1 MiB, each checked when it arrives against the outline: the list of their SHA-256. The
//! outline is a claim of whoever sends it, and found true or false by the SHA-256 of the whole, which is the spore's
//! name. So a false piece is blamed on its sender at once, a false outline when the whole is there: then it is never
//! followed again, and the pieces that are the same in the next one stay.
//!
//! Every holder gives pieces to a few at a time and tells the others that it is busy. They find the pieces at those
//! who were served before them, so that in each round there are as many more holders as were served.
//!
//! What it never does: open a connection (see [`Holders`]), or ask what is in a spore. Whoever runs one checks who signed it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use types::Digest;

use crate::Repo;
use download::Download;
use outlines::{Opened, Outlines, Whole};
use partial::Partial;
use uploads::Uploads;

mod board;
mod crowd;
mod download;
mod fetch;
mod fetched;
#[doc(hidden)]
pub mod fuzzing;
mod holders;
mod journal;
mod limits;
mod outline;
mod outlines;
pub(crate) mod partial;
mod pieces;
mod serve;
mod session;
mod stage;
mod uploads;
mod wire;

pub use fetched::{FetchError, Fetched};
pub use holders::{Duplex, Holders, Opening};
pub use limits::Limits;
pub use outline::{MAX_BYTES, PIECE};

/// The protocol's name on the overlay.
pub const PROTOCOL: &str = "spore/1";

/// A repo's exchange with other nodes. Clones are the same one; a process has one for each repo, so that it fetches a
/// spore once and its bounds on uploads hold.
#[derive(Debug, Clone)]
pub struct Exchange {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    repo: Repo,
    limits: Limits,
    uploads: Uploads,
    outlines: Outlines,
    /// One outline is made at a time: it reads a whole file.
    making: tokio::sync::Mutex<()>,
    running: Mutex<BTreeMap<Digest, Weak<Running>>>,
}

/// A fetch that somebody waits for. It ends when nobody does any more.
struct Running {
    download: Arc<Download>,
    ended: watch::Receiver<Option<Result<Fetched, FetchError>>>,
    task: AbortHandle,
}

/// What an exchange has done since it was made, and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The bytes of pieces that were sent to others.
    pub sent: u64,
    /// How often another was told that we are busy.
    pub refused: u64,
    /// How many spores are being fetched.
    pub fetching: usize,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many pieces are here.
    pub have: u32,
    /// Of how many.
    pub of: u32,
    /// The size of the whole in bytes, as it is claimed.
    pub bytes: u64,
}

impl Exchange {
    /// Makes the exchange of a repo. It does nothing by itself.
    #[must_use]
    pub fn new(repo: Repo, limits: Limits) -> Self {
        let uploads = Uploads::new(&limits);
        let (outlines, making, running) = Default::default();
        Self { inner: Arc::new(Inner { repo, limits, uploads, outlines, making, running }) }
    }

    /// The repo.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }

    /// Answers what a peer asks on one stream, until it ends, is idle for too long, or breaks a bound; the error is for
    /// a log alone. Whole spores are served, and of those that are being fetched what has been checked.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        serve::serve(self, stream).await
    }

    /// Gets a spore from those who hold it, unless it is here already: then nothing is asked and nothing is checked.
    ///
    /// May be called many times at once for one digest: all share the fetch that the first one began, and its `holders`.
    /// When the last of them is dropped, the fetch ends; the next one goes on with the pieces that are here, in
    /// whichever process.
    ///
    /// # Panics
    /// When it isn't called within a tokio runtime with time.
    pub async fn fetch(&self, digest: Digest, holders: Arc<dyn Holders>) -> Result<Fetched, FetchError> {
        if let Some(here) = self.here(&digest) {
            return Ok(here);
        }
        let running = self.join(digest, holders);
        let mut ended = running.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        ended.ok().flatten().unwrap_or(Err(FetchError::BrokenOff(digest)))
    }

    /// How far the fetch of a spore is; `None` if there is none, or nobody has told its size yet.
    #[must_use]
    pub fn progress(&self, digest: &Digest) -> Option<Progress> {
        let partial = self.partial(digest)?;
        let (pieces, bytes) = (partial.pieces(), partial.outline().size());
        Some(Progress { have: pieces.held(), of: pieces.count(), bytes })
    }

    /// What it has done, and does.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (sent, refused) = self.inner.uploads.counts();
        let fetching = self.running().values().filter(|running| running.strong_count() > 0).count();
        Stats { sent, refused, fetching }
    }

    /// The fetch of a spore: the one that is under way, or a new one.
    fn join(&self, digest: Digest, holders: Arc<dyn Holders>) -> Arc<Running> {
        let mut all = self.running();
        all.retain(|_, running| running.strong_count() > 0);
        let running = all.get(&digest).and_then(Weak::upgrade);
        if let Some(running) = running.filter(|running| running.ended.borrow().is_none()) {
            return running;
        }
        let download = Arc::new(Download::new(self.clone(), digest));
        let (end, ended) = watch::channel(None);
        let fetch = fetch::run(Arc::clone(&download), holders);
        let task = tokio::spawn(async move {
            let _ = end.send(Some(fetch.await));
        });
        let running = Arc::new(Running { download, ended, task: task.abort_handle() });
        all.insert(digest, Arc::downgrade(&running));
        running
    }

    /// What is here already.
    fn here(&self, digest: &Digest) -> Option<Fetched> {
        let path = self.inner.repo.path(digest)?;
        let bytes = std::fs::metadata(&path).ok()?.len();
        Some(Fetched { path, bytes, from: BTreeMap::new(), blamed: BTreeMap::new() })
    }

    /// What is here of a spore that is being fetched.
    fn partial(&self, digest: &Digest) -> Option<Arc<Partial>> {
        let running = self.running().get(digest).and_then(Weak::upgrade)?;
        running.download.partial()
    }

    /// A spore that is here whole, with its outline, which is made if it isn't known yet.
    async fn whole(&self, digest: Digest) -> io::Result<Option<Whole>> {
        let open = |make: bool| {
            let exchange = self.clone();
            serve::blocking(move || exchange.inner.outlines.open(&exchange.inner.repo, &digest, make))
        };
        match open(false).await?? {
            Opened::Whole(whole) => return Ok(Some(whole)),
            Opened::Absent => return Ok(None),
            Opened::Unknown => {}
        }
        // whoever waited for another finds it made
        let _one = self.inner.making.lock().await;
        match open(true).await?? {
            Opened::Whole(whole) => Ok(Some(whole)),
            Opened::Unknown | Opened::Absent => Ok(None),
        }
    }

    fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    fn outlines(&self) -> &Outlines {
        &self.inner.outlines
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Digest, Weak<Running>>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({})", self.download.digest())
    }
}

#[cfg(test)]
pub(crate) mod tests;
