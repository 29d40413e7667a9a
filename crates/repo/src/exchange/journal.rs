//! The journal of a fetch: the outline, then the number of each piece that was written, as it came.
//!
//! It is a hint that saves work, never a proof. A torn end is left out; a torn beginning makes the fetch start anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use types::Digest;

use super::outline::{MAX_ENCODED, MAX_PIECES, Outline};
use super::pieces::Pieces;

/// What a journal begins with: its name and version.
const MAGIC: &[u8; 8] = b"SPIECES1";
/// The bytes before the outline: the above, the outline's length, and its SHA-256.
const HEAD: usize = 8 + 4 + 32;

/// The journal of a fetch that is under way.
#[derive(Debug)]
pub struct Journal {
    file: File,
    end: u64,
}

impl Journal {
    /// Begins a journal in place of what is there.
    pub fn create(path: &Path, outline: &Outline, pieces: &Pieces) -> io::Result<Self> {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(flags);
        let mut file = options.open(path)?;
        let encoded = outline.encode();
        let length = u32::try_from(encoded.len()).expect("an outline is small");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(Digest::of(&encoded).as_bytes());
        bytes.extend_from_slice(&encoded);
        let held = (0..outline.count()).filter(|index| pieces.has(*index));
        held.for_each(|index| bytes.extend_from_slice(&index.to_be_bytes()));
        file.write_all(&bytes)?;
        Ok(Self { file, end: bytes.len() as u64 })
    }

    /// Notes that a piece was written.
    pub fn note(&mut self, index: u32) -> io::Result<()> {
        self.file.write_all_at(&index.to_be_bytes(), self.end)?;
        self.end += 4;
        Ok(())
    }
}

/// What a journal says: the outline, and which pieces were written. `None` if it says nothing that can be read.
pub fn read(path: &Path) -> Option<(Outline, Vec<u32>)> {
    let file = crate::store::open_file(path).ok()??;
    let mut bytes = Vec::new();
    let most = HEAD + MAX_ENCODED + 4 * MAX_PIECES as usize;
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// [`read`], of bytes.
pub fn parse(bytes: &[u8]) -> Option<(Outline, Vec<u32>)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::try_from(u32::from_be_bytes(*head[8..].first_chunk()?)).ok()?;
    let (encoded, noted) = rest.split_at_checked(length)?;
    if !head.starts_with(MAGIC) || head[12..] != *Digest::of(encoded).as_bytes() {
        return None;
    }
    let outline = Outline::decode(encoded)?;
    let noted = noted.as_chunks::<4>().0.iter().map(|index| u32::from_be_bytes(*index));
    let noted = noted.filter(|index| *index < outline.count()).collect();
    Some((outline, noted))
}
