//! What goes over the wire: read back as written, bounded, and of one form.

use std::sync::LazyLock;

use proptest::prelude::*;
use types::Digest;

use super::rig::{content, outline};
use crate::exchange::fuzzing::message;
use crate::exchange::outline::{MAX_BYTES, MAX_PIECES, Outline, PIECE, pieces_of};
use crate::exchange::pieces::Pieces;
use crate::exchange::wire::{Have, Head, MOST_PIECES, Request};

/// One of each kind.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(samples);

fn samples() -> Vec<Vec<u8>> {
    let digest = Digest::of(b"a spore");
    let made = outline(&content(1, 3 * PIECE + 5));
    let mut pieces = Pieces::none(4);
    pieces.insert(2);
    let have = |pieces| Have { size: made.size(), outline: made.id(), pieces }.encode();
    let ranges = [(0, 1), (7, MOST_PIECES), (MAX_PIECES - 1, 1)];
    let ranges = ranges.map(|(first, count)| Request::Pieces { digest, outline: made.id(), first, count });
    let mut all = vec![have(None), have(Some(pieces)), made.encode(), journal(&made)];
    all.extend(
        [Request::Have(digest), Request::Outline(digest)].iter().chain(&ranges).map(|r| r.encode().to_vec()),
    );
    let heads = [Head::No, Head::Busy, Head::Have(41), Head::Outline(40), Head::Piece(PIECE)];
    all.extend(heads.map(|head| head.encode().to_vec()));
    all
}

fn journal(outline: &Outline) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal =
        crate::exchange::journal::Journal::create(&path, outline, &Pieces::none(outline.count())).unwrap();
    journal.note(1).unwrap();
    std::fs::read(path).unwrap()
}

/// Messages of today, as bytes that never change: a later node must read them.
#[test]
fn the_wire_form_is_frozen() {
    let sums: Vec<String> = SAMPLES.iter().map(|message| Digest::of(message).short()).collect();
    let sum = Digest::of(sums.concat().as_bytes()).short();
    assert_eq!(
        sum, "045f3bd2eef3",
        "this changes what nodes say to each other: make it another protocol instead"
    );
}

#[test]
fn what_is_beyond_a_bound_is_not_read() {
    assert_eq!(pieces_of(MAX_BYTES), Some(MAX_PIECES));
    assert_eq!(pieces_of(MAX_BYTES + 1), None);
    for (kind, length) in
        [(0, 1), (1, 1), (2, 39), (2, 553), (3, 7), (3, 131_081), (4, 0), (4, 1_048_577), (5, 0)]
    {
        let length = u32::to_be_bytes(length);
        assert_eq!(Head::decode([kind, length[0], length[1], length[2], length[3]]), None);
    }
    let huge = [&u64::MAX.to_be_bytes()[..], &[0; 32]].concat();
    assert_eq!((Have::decode(&huge), Outline::decode(&huge)), (None, None));
    assert_eq!(Pieces::decode(4, &[0x08]), None, "a bit past the end");
    assert_eq!(Pieces::decode(4, &[0, 0]), None);
    assert_eq!(Outline::decode(&[&1u64.to_be_bytes()[..], &[0; 64]].concat()), None, "a piece too many");
    assert_eq!(Outline::decode(&2_000_000u64.to_be_bytes()), None, "pieces too few");
}

#[test]
fn the_fuzz_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/spore_exchange");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(folder).unwrap();
        for sample in SAMPLES.iter() {
            std::fs::write(format!("{folder}/{}", Digest::of(sample).short()), sample).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= SAMPLES.len(), "the corpus is missing");
    files.iter().for_each(|path| message(&std::fs::read(path).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        message(&bytes);
    }

    /// Samples with a byte changed, cut or doubled.
    #[test]
    fn altered_messages_do_no_harm(which in 0_usize..14, at in 0_usize..200, byte: u8, cut: bool) {
        let mut bytes = SAMPLES[which].clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        } else {
            bytes.extend_from_within(at..);
        }
        message(&bytes);
    }

    #[test]
    fn requests_read_back(first in 0..MAX_PIECES, count in 1..=MOST_PIECES) {
        let (digest, outline) = (Digest::of(b"a"), Digest::of(b"b"));
        let request = Request::Pieces { digest, outline, first, count };
        let fits = first + count <= MAX_PIECES;
        prop_assert_eq!(Request::decode(&request.encode()), fits.then_some(request));
    }

    #[test]
    fn sets_read_back(of in 0_u32..100, held in proptest::collection::btree_set(0_u32..100, 0..100)) {
        let mut pieces = Pieces::none(of);
        held.iter().for_each(|index| pieces.insert(*index));
        let held: Vec<_> = held.into_iter().filter(|index| *index < of).collect();
        prop_assert_eq!(pieces.held() as usize, held.len());
        let missing: Vec<_> = (0..of).filter(|index| !held.contains(index)).collect();
        prop_assert_eq!(pieces.missing().collect::<Vec<_>>(), missing);
        prop_assert_eq!(Pieces::decode(of, pieces.encode()), Some(pieces));
    }
}
