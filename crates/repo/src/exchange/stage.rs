//! How far a fetch is: the outline that is followed, the pieces, and what is known of those who send them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use types::{Digest, PublicKey};

use super::board::{Board, Next, SessionId};
use super::partial::Partial;
use super::wire::Have;
use crate::Error;

/// How long a fetch that doesn't move follows its outline, when nobody who has that outline is being talked to and
/// somebody offers another.
const FORSAKEN: Duration = Duration::from_secs(1);

/// What a session does next.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// This.
    Do(Next),
    /// Nothing: another outline is followed by now.
    Again,
}

/// How far a fetch is.
pub struct Stage {
    /// What is followed, and what is left of it to do.
    pub followed: Option<(Arc<Partial>, Board)>,
    /// What was followed before: its pieces may serve the next.
    pub before: Option<Arc<Partial>>,
    /// Counts the outlines that were followed.
    pub turn: u64,
    /// Outlines that are false, or don't fit the disk.
    pub refused: BTreeSet<Digest>,
    /// The outline that was left last because nothing came of it: others come first.
    shunned: Option<Digest>,
    /// What each holder said last: its outline, and whether it has the whole.
    claims: BTreeMap<PublicKey, (Digest, bool)>,
    /// Who sent what isn't the spore.
    pub blamed: BTreeMap<PublicKey, String>,
    /// How many pieces came from whom.
    pub from: BTreeMap<PublicKey, u32>,
    /// When something came last: a piece, an outline.
    pub moved: Instant,
    /// When somebody said last that they are busy.
    pub busy: Instant,
    /// What is wrong with the disk, and since when.
    pub failed: Option<(Error, Instant)>,
}

impl Stage {
    pub fn new(now: Instant) -> Self {
        Self {
            followed: None,
            before: None,
            turn: 1,
            refused: BTreeSet::new(),
            shunned: None,
            claims: BTreeMap::new(),
            blamed: BTreeMap::new(),
            from: BTreeMap::new(),
            moved: now,
            busy: now,
            failed: None,
        }
    }

    /// Notes what a holder says.
    pub fn heard(&mut self, peer: PublicKey, have: &Have) {
        self.claims.insert(peer, (have.outline, have.pieces.is_none()));
    }

    /// Whether an outline should be got, to be followed.
    pub fn wants(&self, outline: &Digest) -> bool {
        self.followed.is_none() && !self.refused.contains(outline) && self.shunned != Some(*outline)
    }

    /// Follows an outline.
    pub fn follow(&mut self, partial: Arc<Partial>, seed: u64, now: Instant) {
        self.turn += 1;
        let board = Board::new(partial.pieces(), seed);
        (self.followed, self.before, self.moved) = (Some((partial, board)), None, now);
    }

    /// Stops following, so that another outline may be.
    pub fn leave(&mut self) {
        self.turn += 1;
        self.before = self.followed.take().map(|(partial, _)| partial);
    }

    /// The outline that is followed is false. Whoever says that they have the whole under it lies; whoever has a part
    /// may have been told it.
    pub fn refuse(&mut self, now: Instant) {
        let Some((partial, _)) = &self.followed else { return };
        // to hash it all may have taken long
        self.moved = now;
        let id = partial.outline().id();
        self.refused.insert(id);
        let liars = self.claims.iter().filter(|(_, claim)| **claim == (id, true));
        for (peer, _) in liars {
            self.blamed.insert(*peer, "its list of pieces is not the spore's".to_owned());
        }
        self.leave();
    }

    /// Whether to leave the outline that is followed for another that is offered, since nothing comes of it. `live` are
    /// those who are being talked to.
    pub fn forsake(&mut self, live: &BTreeSet<PublicKey>, patience: Duration, now: Instant) -> bool {
        let Some((partial, _)) = &self.followed else {
            // nothing else came of it either
            if now - self.moved > FORSAKEN {
                self.shunned = None;
            }
            return false;
        };
        let id = partial.outline().id();
        let claims = || self.claims.iter().filter(|(peer, _)| !self.blamed.contains_key(peer));
        let talked = claims().any(|(peer, (outline, _))| live.contains(peer) && *outline == id);
        let other = claims().any(|(_, (outline, _))| *outline != id && !self.refused.contains(outline));
        let patience = if talked { patience } else { FORSAKEN };
        if !other || now - self.moved < patience {
            return false;
        }
        self.shunned = Some(id);
        self.moved = now;
        self.leave();
        true
    }

    /// What a session does next.
    pub fn next(
        &mut self,
        turn: u64,
        session: SessionId,
        have: &Have,
        usual: Duration,
        now: Instant,
    ) -> Step {
        match &mut self.followed {
            Some((_, board)) if self.turn == turn => Step::Do(board.next(session, have, usual, now)),
            _ => Step::Again,
        }
    }

    /// Whether every piece is here.
    pub fn is_done(&self) -> bool {
        self.followed.as_ref().is_some_and(|(_, board)| board.is_done())
    }
}
