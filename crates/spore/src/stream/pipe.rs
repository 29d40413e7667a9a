//! The parallel half of the pass, for content large enough to be worth threads.
//!
//! One thread reads, checksums and writes; one hashes the whole file, when asked; the caller's
//! hashes the content. All see the same buffers, so what is written is what was hashed.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use types::Digest;

use super::{PIECE, Pass, Sink, read_at};
use crate::SporeError;
use crate::hash::Sha256;

/// So many buffers are under way at most: 2 MiB, which stays in the cache the cores share.
const BUFFERS: usize = 8;

type Piece = Arc<Vec<u8>>;

/// Passes on `length` bytes from where `pass` is; returns their digest and checksum.
pub(super) fn content(
    pass: &mut Pass<'_>,
    length: u64,
    sink: &mut dyn Sink,
) -> Result<(Digest, u32), SporeError> {
    let (free, freed) = channel();
    (0..BUFFERS).for_each(|_| drop(free.send(Vec::new())));
    let (to_content, pieces) = sync_channel(BUFFERS);
    let mut readers = vec![to_content];
    let (file, at) = (pass.file, pass.at);
    thread::scope(|scope| {
        let whole = pass.whole.take().map(|whole| {
            let (to_whole, pieces) = sync_channel(BUFFERS);
            readers.push(to_whole);
            let free = free.clone();
            scope.spawn(move || consume(whole, &pieces, &free))
        });
        let mover = Mover { file, at, left: length, freed, free: free.clone(), readers };
        let mover = scope.spawn(move || mover.run(sink));
        let hash = consume(Sha256::default(), &pieces, &free);
        pass.whole = whole.map(|whole| whole.join().expect("hashing doesn't panic"));
        pass.at += length;
        Ok((hash.finish(), mover.join().expect("moving bytes doesn't panic")?))
    })
}

/// Reads, gives to the hashing threads, checksums and writes.
struct Mover<'a> {
    file: &'a File,
    at: u64,
    left: u64,
    freed: Receiver<Vec<u8>>,
    free: Sender<Vec<u8>>,
    readers: Vec<SyncSender<Piece>>,
}

impl Mover<'_> {
    /// Returns the CRC-32; dropping `self` at the end, or on an error, is what tells the others to stop.
    fn run(mut self, sink: &mut dyn Sink) -> Result<u32, SporeError> {
        let mut crc = crc32fast::Hasher::new();
        while self.left > 0 {
            let mut piece = self.freed.recv().expect("the sender of free buffers is held here");
            piece.resize(usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE)), 0);
            read_at(self.file, &mut piece, self.at)?;
            self.at += piece.len() as u64;
            self.left -= piece.len() as u64;
            let piece = Arc::new(piece);
            for reader in &self.readers {
                reader.send(Arc::clone(&piece)).expect("a reader stays until its sender is gone");
            }
            crc.update(&piece);
            sink.write(&piece)?;
            release(piece, &self.free);
        }
        Ok(crc.finalize())
    }
}

/// Hashes pieces until there are no more.
fn consume(mut hash: Sha256, pieces: &Receiver<Piece>, free: &Sender<Vec<u8>>) -> Sha256 {
    for piece in pieces {
        hash.update(&piece);
        release(piece, free);
    }
    hash
}

/// Whoever is last with a piece hands its buffer back.
fn release(piece: Piece, free: &Sender<Vec<u8>>) {
    if let Some(buffer) = Arc::into_inner(piece) {
        let _ = free.send(buffer);
    }
}
