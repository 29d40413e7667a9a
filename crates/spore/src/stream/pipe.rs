//! The parallel half of the pass, for content large enough to be worth a second thread.
//!
//! Two sides: the caller's thread hashes the content, a second one hashes the whole file when that
//! is asked for. Moving a piece (read, checksum, write) is shared: with both hashing, each moves
//! every other piece, else the second moves them all. So either way two cores have equal work,
//! without relying on a scheduler to deal out three roles. A piece is moved some steps before it is
//! hashed, so neither side waits while the other is off its core for a moment. Both see the same
//! buffers: what is written is what was hashed.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use types::Digest;

use super::{PIECE, Pass, Sink, read_at};
use crate::SporeError;
use crate::hash::Sha256;

/// How many pieces a side is ahead with moving: 4 MiB, about 2 ms of hashing.
const LEAD: u64 = 16;
/// The most buffers a side makes, 8 MiB. Below half of `LEAD`, both could wait for each other's for ever.
const BUFFERS: usize = 32;

/// Passes on `length` bytes from where `pass` is; returns their digest and checksum.
pub(super) fn content(
    pass: &mut Pass<'_>,
    length: u64,
    sink: &dyn Sink,
) -> Result<(Digest, u32), SporeError> {
    let work = Work { file: pass.file, at: pass.at, length, sink };
    let (to_first, from_second) = channel();
    let (to_second, from_first) = channel();
    let (free_first, freed_first) = channel();
    let (free_second, freed_second) = channel();
    let both = pass.whole.is_some();
    let share = |side| if both { Share::EveryOther(side) } else { Share::All(side == 1) };
    let first = Side::new(&work, share(0), Some(Sha256::default()), from_second, freed_first, free_second);
    let second = Side::new(&work, share(1), pass.whole.take(), from_first, freed_second, free_first);
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(move || second.run(Some(to_first)));
        let first = first.run(both.then_some(to_second));
        (first, second.join().expect("moving and hashing bytes doesn't panic"))
    });
    match (first, second) {
        (Ok(first), Ok(second)) => {
            pass.at += length;
            pass.whole = second.hash;
            Ok((first.hash.expect("the first side hashes").finish(), second.crc.finalize()))
        }
        (Err(Some(error)), _) | (_, Err(Some(error))) => Err(error),
        _ => unreachable!("a side stops early because of an error, its own or the other's"),
    }
}

/// What both sides work on.
struct Work<'a> {
    file: &'a File,
    at: u64,
    length: u64,
    sink: &'a dyn Sink,
}

/// Which pieces a side moves.
#[derive(Clone, Copy)]
enum Share {
    All(bool),
    EveryOther(u64),
}

/// A piece as it was read, and its own checksum where the sides' pieces have to be put together.
#[derive(Clone)]
struct Moved {
    bytes: Arc<Vec<u8>>,
    crc: crc32fast::Hasher,
}

struct Side<'a> {
    work: &'a Work<'a>,
    share: Share,
    hash: Option<Sha256>,
    /// Of the whole content, on the second side: it meets every piece in order, moved or hashed.
    crc: crc32fast::Hasher,
    /// Moved here, not yet hashed here.
    own: VecDeque<Moved>,
    others: Receiver<Moved>,
    made: usize,
    spare: Vec<Vec<u8>>,
    /// Our buffers, as the other side was the last to need them. Ends when the other side does.
    freed: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
}

/// What a side found.
struct Found {
    hash: Option<Sha256>,
    crc: crc32fast::Hasher,
}

impl<'a> Side<'a> {
    fn new(
        work: &'a Work<'a>,
        share: Share,
        hash: Option<Sha256>,
        others: Receiver<Moved>,
        freed: Receiver<Vec<u8>>,
        give_back: Sender<Vec<u8>>,
    ) -> Self {
        let (crc, own, spare) = (crc32fast::Hasher::new(), VecDeque::new(), Vec::new());
        Self { work, share, hash, crc, own, others, made: 0, spare, freed, give_back }
    }

    /// Moves its share, hands it `to` the other side if that hashes, and hashes everything if this one does.
    ///
    /// Fails with nothing when it is the other side that failed.
    fn run(mut self, to: Option<Sender<Moved>>) -> Result<Found, Option<SporeError>> {
        let pieces = self.work.length.div_ceil(PIECE as u64);
        for step in 0..pieces + LEAD {
            if step < pieces && self.moves(step) {
                let moved = self.take(step)?;
                if self.hash.is_some() {
                    self.own.push_back(moved.clone());
                }
                if let Some(to) = &to {
                    to.send(moved).map_err(|_| None)?;
                }
            }
            if let Some(step) = step.checked_sub(LEAD).filter(|_| self.hash.is_some()) {
                self.digest(step)?;
            }
        }
        Ok(Found { hash: self.hash, crc: self.crc })
    }

    const fn moves(&self, step: u64) -> bool {
        match self.share {
            Share::All(all) => all,
            Share::EveryOther(side) => step % 2 == side,
        }
    }

    /// Reads, checksums and writes a piece.
    fn take(&mut self, step: u64) -> Result<Moved, Option<SporeError>> {
        let start = step * PIECE as u64;
        let left = self.work.length - start;
        let mut bytes = self.buffer()?;
        bytes.resize(usize::try_from(left).map_or(PIECE, |left| left.min(PIECE)), 0);
        read_at(self.work.file, &mut bytes, self.work.at + start)?;
        self.work.sink.write_at(&bytes, start)?;
        let mut crc = crc32fast::Hasher::new();
        match self.share {
            Share::All(_) => self.crc.update(&bytes),
            Share::EveryOther(_) => crc.update(&bytes),
        }
        Ok(Moved { bytes: Arc::new(bytes), crc })
    }

    /// Hashes a piece, whichever side moved it; whoever is last with it sees its buffer home.
    fn digest(&mut self, step: u64) -> Result<(), Option<SporeError>> {
        let own = self.moves(step);
        let moved = if own { self.own.pop_front() } else { self.others.recv().ok() };
        let Moved { bytes, crc } = moved.ok_or(None)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes);
        }
        if let Share::EveryOther(1) = self.share {
            self.crc.combine(&crc);
        }
        match Arc::into_inner(bytes) {
            Some(buffer) if own => self.spare.push(buffer),
            // A side that has ended needs no buffers.
            Some(buffer) => drop(self.give_back.send(buffer)),
            None => {}
        }
        Ok(())
    }

    /// A buffer that came back, else a new one, else the next to come back.
    fn buffer(&mut self) -> Result<Vec<u8>, Option<SporeError>> {
        if let Some(buffer) = self.spare.pop().or_else(|| self.freed.try_recv().ok()) {
            return Ok(buffer);
        }
        if self.made < BUFFERS {
            self.made += 1;
            return Ok(Vec::new());
        }
        self.freed.recv().map_err(|_| None)
    }
}
