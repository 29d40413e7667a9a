//! Everything that reads a peer's bytes, or a journal's, without a stream: for fuzzing and its replays only.

use super::journal;
use super::outline::Outline;
use super::wire::{Have, Head, Request};

/// Reads bytes as each thing that may come from outside. Panics when what is read isn't written the same again, or is
/// beyond its bounds.
pub fn message(bytes: &[u8]) {
    if let Some(request) = bytes.first_chunk().and_then(Request::decode) {
        assert_eq!(bytes[..super::wire::REQUEST], request.encode());
    }
    if let Some(head) = bytes.first_chunk().copied().and_then(Head::decode) {
        assert_eq!(bytes[..super::wire::HEAD], head.encode());
    }
    if let Some(have) = Have::decode(bytes) {
        assert_eq!(have.encode(), bytes);
        assert!(have.size <= super::MAX_BYTES);
    }
    if let Some(outline) = Outline::decode(bytes) {
        assert_eq!(outline.encode(), bytes);
        let lengths: u64 = (0..outline.count()).map(|index| outline.length(index) as u64).sum();
        assert_eq!(lengths, outline.size());
    }
    if let Some((outline, noted)) = journal::parse(bytes) {
        assert!(noted.iter().all(|index| *index < outline.count()));
    }
}
