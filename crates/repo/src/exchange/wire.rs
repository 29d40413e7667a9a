//! What two nodes say to each other on a stream of `spore/1`. All numbers are big-endian.
//!
//! A request is always 73 bytes: its kind, the digest, the id of the outline, the first piece, the number of pieces. An answer is its kind,
//! the length of what follows, and that. Answers come in the order of the requests, of which any number may wait.
//!
//! | request | answer |
//! |---|---|
//! | 1 have? | 2: the size, the id of the outline, one bit a piece; without bits the spore is whole. Or 0 |
//! | 2 outline? | 3: the outline. Or 0 |
//! | 3 pieces | 4: the bytes, once a piece. 0 or 1 in place of a piece ends the answer |
//!
//! 0 says that it isn't here, 1 that the node is busy: what is asked for may be had later, or from another.

use types::Digest;

use super::outline::{MAX_ENCODED, MAX_PIECES, PIECE, pieces_of};
use super::pieces::Pieces;

/// The bytes of a request.
pub const REQUEST: usize = 73;
/// The bytes before an answer's content.
pub const HEAD: usize = 5;
/// The most pieces one request may ask for.
pub const MOST_PIECES: u32 = 16;
/// The bytes of the answer to [`Request::Have`] before the bits.
const HAVE: usize = 8 + 32;

/// In place of an outline's id, where none is meant.
const NONE: Digest = Digest::from_bytes([0; 32]);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Which pieces of it are there?
    Have(Digest),
    /// Its outline.
    Outline(Digest),
    /// Some pieces of it under that outline, `count` from `first` on.
    Pieces { digest: Digest, outline: Digest, first: u32, count: u32 },
}

/// What kind of answer comes, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Not here.
    No,
    /// Too many are served already.
    Busy,
    /// [`Have`], of so many bytes.
    Have(usize),
    /// An outline, of so many bytes.
    Outline(usize),
    /// A piece, of so many bytes.
    Piece(usize),
}

/// What a holder says that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// The size of the whole in bytes.
    pub size: u64,
    /// The id of the outline that its pieces were checked against.
    pub outline: Digest,
    /// Its pieces; `None` if it has the whole.
    pub pieces: Option<Pieces>,
}

impl Request {
    /// The 73 bytes.
    pub fn encode(&self) -> [u8; REQUEST] {
        let (kind, digest, outline, first, count) = match self {
            Self::Have(digest) => (1, digest, &NONE, 0, 0),
            Self::Outline(digest) => (2, digest, &NONE, 0, 0),
            Self::Pieces { digest, outline, first, count } => (3, digest, outline, *first, *count),
        };
        let mut bytes = [0; REQUEST];
        bytes[0] = kind;
        bytes[1..33].copy_from_slice(digest.as_bytes());
        bytes[33..65].copy_from_slice(outline.as_bytes());
        bytes[65..69].copy_from_slice(&first.to_be_bytes());
        bytes[69..].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    /// Reads a request; `None` if it is none.
    pub fn decode(bytes: &[u8; REQUEST]) -> Option<Self> {
        let digest = Digest::from_bytes(*bytes[1..].first_chunk()?);
        let outline = Digest::from_bytes(*bytes[33..].first_chunk()?);
        let first = u32::from_be_bytes(*bytes[65..].first_chunk()?);
        let count = u32::from_be_bytes(*bytes[69..].first_chunk()?);
        match (bytes[0], first, count) {
            (1, 0, 0) if outline == NONE => Some(Self::Have(digest)),
            (2, 0, 0) if outline == NONE => Some(Self::Outline(digest)),
            (3, 0..MAX_PIECES, 1..=MOST_PIECES) if first + count <= MAX_PIECES => {
                Some(Self::Pieces { digest, outline, first, count })
            }
            _ => None,
        }
    }
}

impl Head {
    /// The 5 bytes.
    pub fn encode(self) -> [u8; HEAD] {
        let (kind, length) = match self {
            Self::No => (0, 0),
            Self::Busy => (1, 0),
            Self::Have(length) => (2, length),
            Self::Outline(length) => (3, length),
            Self::Piece(length) => (4, length),
        };
        let mut bytes = [kind; HEAD];
        let length = u32::try_from(length).expect("no answer is that long");
        bytes[1..].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Reads the head of an answer; `None` if it is none, or longer than any may be.
    pub fn decode(bytes: [u8; HEAD]) -> Option<Self> {
        let [kind, length @ ..] = bytes;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        match (kind, length) {
            (0, 0) => Some(Self::No),
            (1, 0) => Some(Self::Busy),
            (2, HAVE..) if length <= HAVE + MAX_PIECES as usize / 8 => Some(Self::Have(length)),
            (3, 8..=MAX_ENCODED) => Some(Self::Outline(length)),
            (4, 1..=PIECE) => Some(Self::Piece(length)),
            _ => None,
        }
    }
}

impl Have {
    /// What follows the head.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.outline.as_bytes());
        bytes.extend_from_slice(self.pieces.as_ref().map_or(&[], Pieces::encode));
        bytes
    }

    /// Reads what follows the head; `None` if it isn't that.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, bits) = bytes.split_first_chunk::<HAVE>()?;
        let size = u64::from_be_bytes(*head.first_chunk()?);
        let outline = Digest::from_bytes(*head.last_chunk()?);
        let count = pieces_of(size)?;
        let pieces = if bits.is_empty() { None } else { Some(Pieces::decode(count, bits)?) };
        Some(Self { size, outline, pieces })
    }

    /// Whether it has this piece.
    pub fn has(&self, index: u32) -> bool {
        self.pieces.as_ref().is_none_or(|pieces| pieces.has(index))
    }
}
