//! A fetch under way, as its sessions see it: they propose outlines, are told what to ask for, and hand over pieces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use types::{Digest, PublicKey};

use super::board::SessionId;
use super::outline::Outline;
use super::partial::{Claim, Partial};
use super::serve::blocking;
use super::stage::{Stage, Step};
use super::wire::Have;
use super::{Exchange, Limits};
use crate::Error;

/// How many pieces may be in memory at once: those that are coming, and those that are being checked and written.
const ROOM: u32 = 16;

/// One spore that is being fetched.
pub struct Download {
    exchange: Exchange,
    digest: Digest,
    stage: Mutex<Stage>,
    changed: watch::Sender<()>,
    /// One outline is adopted at a time.
    adopting: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// The room for one piece.
pub struct Room {
    pub partial: Arc<Partial>,
    pub buffer: Vec<u8>,
    permit: OwnedSemaphorePermit,
}

impl Download {
    pub fn new(exchange: Exchange, digest: Digest) -> Self {
        Self {
            exchange,
            digest,
            stage: Mutex::new(Stage::new(Instant::now())),
            changed: watch::Sender::new(()),
            adopting: tokio::sync::Mutex::new(()),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            buffers: Mutex::new(Vec::new()),
        }
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    pub fn limits(&self) -> &Limits {
        self.exchange.limits()
    }

    /// Told whenever something changes that may give an idle session something to do.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody that something changed.
    pub fn change(&self) {
        self.changed.send_replace(());
    }

    /// What is here so far.
    pub fn partial(&self) -> Option<Arc<Partial>> {
        self.stage().followed.as_ref().map(|(partial, _)| Arc::clone(partial))
    }

    /// A holder says what it has.
    pub fn heard(&self, peer: PublicKey, have: &Have) {
        self.stage().heard(peer, have);
    }

    /// Whether to get an outline from whoever has it.
    pub fn wants_outline(&self, outline: &Digest) -> bool {
        self.stage().wants(outline)
    }

    /// The turn in which an outline is followed, if it is.
    pub fn follows(&self, outline: &Digest) -> Option<u64> {
        let stage = self.stage();
        let (partial, _) = stage.followed.as_ref()?;
        (partial.outline().id() == *outline).then_some(stage.turn)
    }

    /// Follows an outline, unless one is followed.
    pub async fn adopt(&self, outline: Outline) {
        let _one = self.adopting.lock().await;
        // nothing is written while a file changes its outline
        let Ok(_quiet) = self.room.acquire_many(ROOM).await else { return };
        if !self.wants_outline(&outline.id()) {
            return;
        }
        let before = self.stage().before.take();
        let (repo, digest, outline) = (self.exchange.repo().clone(), self.digest, Arc::new(outline));
        let id = outline.id();
        let begun = blocking(move || match before {
            Some(before) => before.turn(outline).map(Some),
            None => Claim::take(&repo, &digest)?.map(|claim| claim.begin(outline)).transpose(),
        })
        .await;
        let now = Instant::now();
        let mut stage = self.stage();
        match begun {
            Ok(Ok(Some(partial))) => {
                stage.failed = None;
                stage.follow(Arc::new(partial), seed(), now);
            }
            Ok(Err(error)) => {
                // another may tell of a size that fits
                stage.refused.insert(id);
                stage.failed.get_or_insert((error, now));
            }
            // another process fetches it, or the runtime ends
            Ok(Ok(None)) | Err(_) => {}
        }
        drop(stage);
        self.change();
    }

    /// What a session does next.
    pub fn next(&self, turn: u64, session: SessionId, have: &Have, usual: Duration) -> Step {
        self.stage().next(turn, session, have, usual, Instant::now())
    }

    /// A session won't bring a piece.
    pub fn without(&self, turn: u64, session: SessionId, index: u32) {
        let mut stage = self.stage();
        if stage.turn == turn
            && let Some((_, board)) = &mut stage.followed
        {
            board.without(session, index);
            drop(stage);
            self.change();
        }
    }

    /// Room for a piece, once there is; `None` if the turn is over.
    pub async fn room(&self, turn: u64) -> Option<Room> {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
        let stage = self.stage();
        let partial = stage.followed.as_ref().filter(|_| stage.turn == turn).map(|(partial, _)| partial)?;
        let partial = Arc::clone(partial);
        drop(stage);
        let buffer = self.buffers().pop().unwrap_or_default();
        Some(Room { partial, buffer, permit })
    }

    /// Checks and writes a piece that has come, beside what comes next.
    pub fn take(self: &Arc<Self>, peer: PublicKey, session: SessionId, index: u32, room: Room) {
        let download = Arc::clone(self);
        // not awaited: what comes of it is told to the board, and the room bounds how many there are
        spawn_blocking(move || {
            let Room { partial, buffer, permit } = room;
            let written = partial.write(index, &buffer);
            let taken = download.taken(peer, session, index, &partial, written);
            let hashed = if taken { partial.hash_ahead(index, &buffer) } else { Ok(()) };
            if let Err(error) = hashed {
                download.fail(error);
            }
            download.buffers().push(buffer);
            drop(permit);
        });
    }

    /// Notes what came of a piece; says whether it is one.
    fn taken(
        &self,
        peer: PublicKey,
        session: SessionId,
        index: u32,
        partial: &Arc<Partial>,
        written: Result<bool, Error>,
    ) -> bool {
        let mut stage = self.stage();
        let current = stage.followed.as_mut().filter(|(followed, _)| Arc::ptr_eq(followed, partial));
        let Some((_, board)) = current else { return false };
        let good = matches!(written, Ok(true));
        if !good {
            board.without(session, index);
        } else if board.here(index) {
            stage.moved = Instant::now();
            *stage.from.entry(peer).or_default() += 1;
        }
        drop(stage);
        match written {
            Ok(true) => {}
            Ok(false) => self.blame(peer, "it sent a piece that is not what its list says"),
            Err(error) => self.fail(error),
        }
        self.change();
        good
    }

    /// Somebody sent what isn't the spore: they are not asked again.
    pub fn blame(&self, peer: PublicKey, why: &str) {
        self.stage().blamed.entry(peer).or_insert_with(|| why.to_owned());
        self.change();
    }

    /// The disk failed.
    pub fn fail(&self, error: Error) {
        self.stage().failed.get_or_insert((error, Instant::now()));
        self.change();
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that differs from fetch to fetch.
pub fn seed() -> u64 {
    // without a random source every fetch draws the same, which costs speed, not safety
    getrandom::u64().unwrap_or(1)
}
