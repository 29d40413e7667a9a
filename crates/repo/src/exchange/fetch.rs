//! Fetching: talks to several holders at once until every piece is here, and checks the whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinError, JoinSet};
use types::PublicKey;

use super::crowd::{Crowd, Ended};
use super::download::{Download, seed};
use super::fetched::{FetchError, Fetched};
use super::holders::Holders;
use super::partial::{Claim, Finished};
use super::serve::blocking;
use super::session;
use crate::Error;

/// How often it is asked anew who may have the spore.
const RESCAN: Duration = Duration::from_millis(500);
/// How often it is looked whether another process, which fetches the same, is done.
const ELSEWHERE: Duration = Duration::from_millis(100);
/// How long an outline that doesn't fit the disk waits for one that does.
const SMALLER: Duration = Duration::from_secs(2);
/// How many times longer a fetch goes on as long as somebody says that they are busy.
const BUSY: u32 = 10;

/// A fetch, as its task sees it.
struct Fetch {
    download: Arc<Download>,
    holders: Arc<dyn Holders>,
    crowd: Crowd,
    sessions: JoinSet<(Ended, u32)>,
    /// With whom each session talks.
    live: BTreeMap<Id, PublicKey>,
    /// How many sessions there were.
    count: u64,
    rescan: Instant,
}

/// Fetches to the end.
pub async fn run(download: Arc<Download>, holders: Arc<dyn Holders>) -> Result<Fetched, FetchError> {
    if let Some(here) = resume(&download).await? {
        return Ok(here);
    }
    let mut changed = download.changes();
    let mut fetch = Fetch {
        download,
        holders,
        crowd: Crowd::new(seed()),
        sessions: JoinSet::new(),
        live: BTreeMap::new(),
        count: 0,
        rescan: Instant::now(),
    };
    loop {
        changed.mark_unchanged();
        if fetch.download.stage().is_done()
            && let Some(fetched) = fetch.finish().await?
        {
            return Ok(fetched);
        }
        let now = Instant::now();
        fetch.look(now)?;
        fetch.talk(now);
        let wake = fetch.wake(now);
        tokio::select! {
            Some(ended) = fetch.sessions.join_next_with_id() => fetch.ended(ended),
            _ = changed.changed() => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

/// Goes on where an earlier fetch ended. Waits while another process fetches the same; returns what it has brought.
async fn resume(download: &Download) -> Result<Option<Fetched>, FetchError> {
    let digest = download.digest();
    loop {
        let repo = download.exchange().repo().clone();
        let resumed = blocking(move || match Claim::take(&repo, &digest)? {
            Some(claim) if repo.path(&digest).is_some() => {
                claim.discard();
                Ok(None)
            }
            Some(claim) => match claim.resume()? {
                Ok(partial) => Ok(Some(Some(Arc::new(partial)))),
                Err(nothing) => {
                    nothing.discard();
                    Ok(Some(None))
                }
            },
            None => Ok::<_, Error>(None),
        });
        match resumed.await.map_err(|_| FetchError::BrokenOff(digest))?? {
            Some(Some(partial)) => {
                download.stage().follow(partial, seed(), Instant::now());
                return Ok(None);
            }
            Some(None) => {
                download.stage().moved = Instant::now();
                return Ok(None);
            }
            None => {}
        }
        if let Some(here) = download.exchange().here(&digest) {
            return Ok(Some(here));
        }
        tokio::time::sleep(ELSEWHERE).await;
    }
}

impl Fetch {
    /// Looks whether to go on, and with what.
    fn look(&mut self, now: Instant) -> Result<(), FetchError> {
        let limits = self.download.limits();
        let mut stage = self.download.stage();
        let followed = stage.followed.is_some();
        if let Some((error, _)) = stage.failed.take_if(|(_, since)| followed || now - *since > SMALLER) {
            let followed = stage.followed.take();
            if let (Error::Full { .. }, Some((partial, _))) = (&error, followed) {
                partial.discard();
            }
            return Err(error.into());
        }
        let quiet = now - stage.moved;
        if quiet > limits.patience * BUSY || quiet.min(now - stage.busy) > limits.patience {
            let pieces = stage.followed.as_ref().map(|(partial, _)| partial.pieces());
            return Err(FetchError::NoHolder {
                digest: self.download.digest(),
                waited: quiet,
                have: pieces.as_ref().map_or(0, super::pieces::Pieces::held),
                of: pieces.as_ref().map_or(0, super::pieces::Pieces::count),
                said: self.crowd.said(),
                blamed: stage.blamed.clone(),
            });
        }
        let live = self.live.values().copied().collect();
        if stage.forsake(&live, limits.idle, now) {
            self.sessions.abort_all();
            self.crowd.turned();
        }
        Ok(())
    }

    /// Talks to more holders, if there are more and it may.
    fn talk(&mut self, now: Instant) {
        if self.rescan <= now {
            self.crowd.listed(self.holders.candidates(&self.download.digest()));
            self.rescan = now + RESCAN;
        }
        while self.sessions.len() < self.download.limits().holders {
            let stage = self.download.stage();
            let Some(peer) = self.crowd.next(|peer| stage.blamed.contains_key(peer), now) else { return };
            drop(stage);
            self.count += 1;
            let (download, holders, id) = (Arc::clone(&self.download), Arc::clone(&self.holders), self.count);
            let task = self.sessions.spawn(async move { session::run(download, &*holders, peer, id).await });
            self.live.insert(task.id(), peer);
        }
    }

    /// When to look again, if nothing happens.
    fn wake(&self, now: Instant) -> Instant {
        let stage = self.download.stage();
        let due = self.crowd.wake(|peer| stage.blamed.contains_key(peer));
        let due = due.filter(|due| self.sessions.len() < self.download.limits().holders && *due > now);
        due.unwrap_or(self.rescan).min(self.rescan)
    }

    /// A session ended.
    fn ended(&mut self, ended: Result<(Id, (Ended, u32)), JoinError>) {
        let now = Instant::now();
        let (id, (ended, brought)) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => (error.id(), (Ended::Again, 0)),
            Err(error) => {
                (error.id(), (Ended::Failed("our side of the talk with it panicked".to_owned()), 0))
            }
        };
        let Some(peer) = self.live.remove(&id) else { return };
        if ended == Ended::Busy {
            self.download.stage().busy = now;
        }
        self.crowd.ended(peer, &ended, brought, now);
    }

    /// Checks the whole. `None` if it isn't the spore: then another outline is needed.
    async fn finish(&mut self) -> Result<Option<Fetched>, FetchError> {
        self.sessions.abort_all();
        let Some(partial) = self.download.partial() else { return Ok(None) };
        let checked = Arc::clone(&partial);
        let digest = self.download.digest();
        let finished = blocking(move || checked.finish()).await.map_err(|_| FetchError::BrokenOff(digest))?;
        let mut stage = self.download.stage();
        match finished {
            Ok(Finished::Stored(path)) => {
                let exchange = self.download.exchange();
                exchange.outlines().keep(exchange.repo(), &digest, partial.outline());
                let (from, blamed) = (std::mem::take(&mut stage.from), std::mem::take(&mut stage.blamed));
                Ok(Some(Fetched { path, bytes: partial.outline().size(), from, blamed }))
            }
            Ok(Finished::False) => {
                stage.refuse(Instant::now());
                self.crowd.turned();
                Ok(None)
            }
            Err(error) => {
                partial.discard();
                Err(error.into())
            }
        }
    }
}
