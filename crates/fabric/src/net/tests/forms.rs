//! Forms: every message has one, and whatever else comes does no harm.

use foca::Member;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use types::{Digest, Signer as _};

use crate::net::envelope::{Message, Opened};
use crate::net::peer::Peer;
use crate::net::swim::Codec;
use crate::testing::{node_key, node_name};

const FROZEN: [&str; 13] = [
    "6792f8ca0f67",
    "9047dd23ca5a",
    "54c6a0aa3b7e",
    "e68614ea1c34",
    "d2deba83ef95",
    "0c0d56f52cff",
    "4160de9531a1",
    "bb0e9d330e02",
    "36eb581a5749",
    "e376c0019661",
    "57bfd1cb0add",
    "bad85608c59c",
    "283374e81bf9",
];

pub(crate) fn samples() -> Vec<Message> {
    let addresses = vec![([10, 0, 0, 1], 7373).into(), "[fe80::1]:7373".parse().unwrap()];
    let peer = Peer::new(node_key(1).public_key().into(), 1_800_000_000_000, node_name("node-1"), addresses);
    let mut sorted = vec![Digest::of(b"a"), Digest::of(b"b")];
    sorted.sort_unstable();
    vec![
        Message::Swim(datagram(&peer)),
        Message::News { hops: 2, record: vec![1; 300] },
        Message::Digest(vec![1, 2, 3, u64::MAX]),
        Message::Members { of: 8, back: vec![0, 3, 7], members: vec![Member::alive(peer)] },
        Message::Query { session: 7, body: vec![0x61] },
        Message::Answer { session: 7, body: vec![0x61] },
        Message::Want { session: 7, ids: vec![Digest::of(b"a"), Digest::of(b"b")] },
        Message::Records { session: 7, last: true, records: vec![vec![1; 300], vec![]] },
        Message::Have(sorted.iter().map(|id| (*id, 3)).collect()),
        Message::Graft(sorted),
        Message::Prune,
        Message::AskStayed { session: 7 },
        Message::Stayed { session: 7, stayed: true },
    ]
}

#[test]
fn messages_read_back_and_every_shorter_one_does_not_read_as_another() {
    for message in samples() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Ok(Opened::Message(message.clone())));
        for length in 0..bytes.len() {
            if let Ok(Opened::Message(read)) = Message::decode(&bytes[..length]) {
                assert_eq!(read.encode(), bytes[..length], "what reads is canonical");
            }
        }
    }
}

/// A probe that carries news of its sender.
fn datagram(peer: &Peer) -> Vec<u8> {
    let mut out = Vec::new();
    let header = foca::Header {
        src: peer.clone(),
        src_incarnation: 3,
        dst: Peer { details: None, ..peer.clone() },
        message: foca::Message::PingReq { target: peer.clone(), probe_number: 9 },
    };
    foca::Codec::encode_header(&mut Codec, &header, &mut out).unwrap();
    out.extend([0, 1]);
    foca::Codec::encode_member(&mut Codec, &Member::down(peer.clone()), &mut out).unwrap();
    out
}

/// The corpus, altered: bytes flipped, cut out, doubled, and two messages spliced.
#[test]
fn altered_messages_do_no_harm() {
    let mut rng = StdRng::seed_from_u64(1);
    let whole: Vec<Vec<u8>> = samples().iter().map(Message::encode).collect();
    for _ in 0..4000 {
        let mut bytes = whole[rng.random_range(0..whole.len())].clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len().max(1));
            match rng.random_range(0..4) {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = rng.random()),
                1 => bytes.truncate(at),
                2 => bytes.extend_from_within(at.min(bytes.len())..),
                _ => bytes.extend_from_slice(&whole[rng.random_range(0..whole.len())][2..]),
            }
        }
        crate::net::fuzzing::message(&bytes);
    }
}

/// One of each kind, whole and cut, as `samples` made them; and what fuzzing found.
#[test]
fn the_fuzz_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/net_message");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 16, "the corpus is missing");
    let mut read = 0;
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        read += usize::from(matches!(Message::decode(&bytes), Ok(Opened::Message(_))));
        crate::net::fuzzing::message(&bytes);
    }
    assert!(read >= 12, "{read} of the corpus read as messages");
}

/// Messages of today, as bytes that never change: a later node must read them.
#[test]
fn the_wire_form_is_frozen() {
    let sums: Vec<String> = samples().iter().map(|message| Digest::of(&message.encode()).short()).collect();
    assert_eq!(sums, FROZEN, "this changes what nodes say to each other: raise the version instead");
}

#[test]
fn counts_are_bounded_before_anything_is_read() {
    for bytes in [
        vec![1, 3, 3],                           // buckets: no power of two
        vec![1, 3, 255],                         //
        vec![1, 4, 8, 2, 1, 0, 0, 0],            // asked back: not ascending
        vec![1, 4, 8, 1, 8, 0, 0],               // asked back: no such bucket
        vec![1, 4, 1, 0, 255, 255],              // members
        vec![1, 7, 0, 0, 0, 0, 255, 255],        // ids
        vec![1, 2, 65],                          // more links than any record passes
        vec![1, 9, 0, 0],                        // nothing promised
        vec![1, 9, 2, 1],                        // 513 ids
        vec![1, 10, 2, 1],                       //
        vec![1, 11, 0],                          // what follows nothing
        vec![1, 12, 0, 0, 0, 7, 0],              //
        vec![1, 13, 0, 0, 0, 7, 2],              // neither yes nor no
        vec![1, 8, 0, 0, 0, 0, 2],               // neither last nor not
        vec![1, 8, 0, 0, 0, 0, 1, 255, 0, 0, 0], // a record's length
    ] {
        assert!(Message::decode(&bytes).is_err(), "{bytes:?}");
    }
}

/// One list of ids has one form.
#[test]
fn ids_ascend_and_stand_once() {
    let [low, high] = [[1; 32], [2; 32]];
    let have = |ids: [[u8; 32]; 2]| [&[1, 9, 0, 2], ids[0].as_slice(), &[0], &ids[1], &[0]].concat();
    let graft = |ids: [[u8; 32]; 2]| [&[1, 10, 0, 2], ids[0].as_slice(), &ids[1]].concat();
    for form in [&have as &dyn Fn([[u8; 32]; 2]) -> Vec<u8>, &graft] {
        assert!(matches!(Message::decode(&form([low, high])), Ok(Opened::Message(_))));
        for bad in [[high, low], [low, low]] {
            assert!(Message::decode(&form(bad)).is_err());
        }
    }
    let mut far = have([low, high]);
    *far.last_mut().unwrap() = 65;
    assert!(Message::decode(&far).is_err(), "more links than any record passes");
    let long = [&[1, 2, 0], vec![0; crate::MAX_RECORD + 1].as_slice()].concat();
    assert!(Message::decode(&long).is_err(), "longer than any record");
}
