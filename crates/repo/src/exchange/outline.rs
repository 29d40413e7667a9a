//! The outline of a spore: its size and the SHA-256 of each of its pieces of 1 MiB.
//!
//! A spore's name is the SHA-256 of the whole, so an outline proves nothing by itself: it is somebody's claim, which
//! lets each piece be checked on arrival, and is itself found true or false when the whole is there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use sha2::Digest as _;
use types::Digest;

use crate::store::{CHUNK, hash};

/// The bytes of a piece; the last one may be shorter.
pub const PIECE: usize = 1 << 20;
/// The most bytes that are fetched or offered: as much as the format of spores allows a file.
pub const MAX_BYTES: u64 = u32::MAX as u64;
/// The most pieces of a spore.
pub const MAX_PIECES: u32 = 4_096;
/// The most bytes of an encoded outline.
pub const MAX_ENCODED: usize = 8 + 32 * MAX_PIECES as usize;

/// A claim on what a spore consists of. Its size is at most [`MAX_BYTES`] and fits the number of pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    size: u64,
    pieces: Vec<Digest>,
    id: Digest,
}

/// How many pieces a file of `size` bytes has; `None` if it is larger than any may be.
pub fn pieces_of(size: u64) -> Option<u32> {
    if size > MAX_BYTES {
        return None;
    }
    u32::try_from(size.div_ceil(PIECE as u64)).ok()
}

impl Outline {
    /// Reads what [`Outline::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (size, list) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_be_bytes(*size);
        let (pieces, rest) = list.as_chunks::<32>();
        let fits = rest.is_empty() && pieces_of(size)? as usize == pieces.len();
        fits.then(|| Self::new(size, pieces.iter().copied().map(Digest::from_bytes).collect()))
    }

    fn new(size: u64, pieces: Vec<Digest>) -> Self {
        let mut outline = Self { size, pieces, id: Digest::from_bytes([0; 32]) };
        outline.id = Digest::of(&outline.encode());
        outline
    }

    /// The size, big-endian, and the pieces' digests.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.pieces.iter().for_each(|piece| bytes.extend_from_slice(piece.as_bytes()));
        bytes
    }

    /// What tells one claim from another: the SHA-256 of its encoding.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The size of the whole in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pieces there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.pieces.len()).expect("at most MAX_PIECES")
    }

    /// The SHA-256 of a piece.
    pub fn piece(&self, index: u32) -> Option<&Digest> {
        self.pieces.get(index as usize)
    }

    /// How many bytes a piece has; 0 past the end.
    pub fn length(&self, index: u32) -> usize {
        length_in(self.size, index)
    }

    /// Reads all of a file: its outline, and the SHA-256 of the whole. On two cores, since both hash every byte.
    pub fn of(file: &File) -> io::Result<(Self, Digest)> {
        let size = file.metadata()?.len();
        let count = pieces_of(size).ok_or_else(|| io::Error::other("it is larger than a spore may be"))?;
        std::thread::scope(|scope| {
            let whole = scope.spawn(|| hash(&mut At { file, offset: 0 }));
            let mut chunk = vec![0; CHUNK];
            let pieces = (0..count).map(|index| hash_piece(file, index, length_in(size, index), &mut chunk));
            let pieces = pieces.collect::<io::Result<_>>()?;
            let whole = whole.join().map_err(|_| io::Error::other("the hashing of it ended"))??;
            Ok((Self::new(size, pieces), whole))
        })
    }
}

/// The SHA-256 of `length` bytes of a file from where a piece begins.
pub fn hash_piece(file: &File, index: u32, length: usize, chunk: &mut [u8]) -> io::Result<Digest> {
    let (mut at, mut left) = (offset(index), length);
    let mut hasher = sha2::Sha256::new();
    while left > 0 {
        let part = left.min(chunk.len());
        file.read_exact_at(&mut chunk[..part], at)?;
        hasher.update(&chunk[..part]);
        (at, left) = (at + part as u64, left - part);
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn length_in(size: u64, index: u32) -> usize {
    let rest = size.saturating_sub(offset(index));
    usize::try_from(rest).map_or(PIECE, |rest| rest.min(PIECE))
}

/// Where a piece begins in the file.
pub fn offset(index: u32) -> u64 {
    u64::from(index) * PIECE as u64
}

/// A file that is read without moving its position, which others share.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
