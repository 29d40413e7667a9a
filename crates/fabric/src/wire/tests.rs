use proptest::prelude::*;
use types::Timestamp;

use super::*;
use crate::testing::*;
use crate::{Kind, Refused};

prop_compose! {
    fn any_draft()(
        kind in "[a-z0-9-]{1,32}", namespace in "[a-z0-9]{1,63}", name in "[a-z0-9]{1,20}(/[a-z0-9]{1,9}){0,3}",
        node in prop::option::of("[a-z]{1,63}"), major in 1..=MAX_ORDER, minor in 0..=MAX_ORDER,
        expires in prop::option::of(0u64..9_000_000_000_000), payload in prop::option::of("[ -~]{1,200}"),
    ) -> Draft {
        let owner = node.map_or(Owner::Operator, |name| Owner::Node(node_name(&name)));
        let minor = if owner == Owner::Operator { 0 } else { minor };
        let key = Key {
            kind: kind.parse().unwrap(), namespace: Namespace::new(&namespace).unwrap(), owner,
            name: name.parse().unwrap(),
        };
        let expires = expires.or(payload.is_none().then_some(1)).map(Timestamp::from_millis);
        Draft { mesh: mesh(), key, order: Order { major, minor }, expires, payload: payload.map(String::into_bytes) }
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_back(draft in any_draft()) {
        let record = draft.sign(&operator(0)).unwrap();
        let bytes = record.encode();
        prop_assert!(bytes.len() <= MAX_RECORD);
        prop_assert_eq!(Record::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn nothing_makes_decode_panic_and_what_it_takes_is_canonical(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_record_is_not_taken(
        draft in any_draft(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = draft.sign(&operator(0)).unwrap().encode();
        let mut changed = bytes.clone();
        for (index, byte) in changes {
            changed[index.index(bytes.len())] = byte;
        }
        if let Ok(record) = Record::decode(&changed) {
            prop_assert_eq!(record.encode(), changed.clone());
            prop_assert!(changed == bytes || record.verify(&mesh()).is_err());
        }
    }
}

fn refused(bytes: &[u8]) -> bool {
    Record::decode(bytes).map_or(true, |record| record.verify(&mesh()).is_err())
}

#[test]
fn every_change_of_a_single_byte_is_refused() {
    let bytes = plan_record(7, &plan("billing", 2)).encode();
    assert!(!refused(&bytes));
    for index in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[index] ^= change;
            assert!(refused(&changed), "byte {index} xor {change}");
        }
    }
}

#[test]
fn every_truncation_and_addition_is_refused() {
    let bytes = plan_record(7, &plan("billing", 2)).encode();
    for length in 0..bytes.len() {
        assert!(Record::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(Record::decode(&[&bytes[..], &[0]].concat()), Err(WireError::Trailing(1)));
}

#[test]
fn a_signature_is_good_for_one_mesh_kind_and_version_only() {
    let record = budget_record(1, &budget("billing", 2));
    let other_mesh = MeshId::from_bytes([9; 32]);
    let error = record.clone().verify(&other_mesh).unwrap_err();
    assert!(matches!(error, Refused::OtherMesh { .. }), "{error}");

    let refused_as = |change: fn(&mut Record)| {
        let mut record = record.clone();
        change(&mut record);
        matches!(record.verify(&mesh()), Err(Refused::Signature { .. }))
    };
    assert!(refused_as(|r| r.draft.key.kind = Kind::Plan));
    assert!(refused_as(|r| r.draft.key.kind = "budget-2".parse().unwrap()));
    assert!(refused_as(|r| r.draft.key.namespace = Namespace::new("other").unwrap()));
    assert!(refused_as(|r| r.draft.order.major = 2));
    assert!(refused_as(|r| r.draft.expires = Some(now())));
    let mut moved = record.clone();
    moved.draft.mesh = other_mesh;
    assert!(matches!(moved.verify(&other_mesh), Err(Refused::Signature { .. })));
    let mut later = record.encode();
    later[1] = 2;
    assert_eq!(Record::decode(&later), Err(WireError::Version(2)));
}

#[test]
fn a_draft_that_has_no_canonical_form_is_not_signed() {
    let refused = |change: fn(&mut Draft)| {
        let mut draft = plan_record(1, &plan("billing", 2)).draft;
        change(&mut draft);
        check_shape(&draft).unwrap_err()
    };
    assert_eq!(refused(|d| d.payload = None), WireError::Everlasting);
    assert_eq!(refused(|d| d.payload = Some(Vec::new())), WireError::Field("payload"));
    assert_eq!(
        refused(|d| d.payload = Some(vec![b' '; MAX_PAYLOAD + 1])),
        WireError::TooLarge(MAX_PAYLOAD + 1)
    );
    assert_eq!(refused(|d| d.order.major = 0), WireError::Field("order"));
    assert_eq!(refused(|d| d.order.major = MAX_ORDER + 1), WireError::Field("order"));
    assert_eq!(refused(|d| d.order.minor = 1), WireError::Field("order"));
}

#[test]
fn a_length_that_promises_more_than_the_bound_is_refused_before_it_is_read() {
    let bytes = plan_record(1, &plan("billing", 2)).encode();
    let length = plan_record(1, &plan("billing", 2)).payload().unwrap().len();
    let at = bytes.len() - 64 - length - 4;
    let mut changed = bytes.clone();
    changed[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Record::decode(&changed), Err(WireError::TooLarge(u32::MAX as usize)));
    let full = vec![b'0'; MAX_PAYLOAD];
    let mut draft = plan_record(1, &plan("billing", 2)).draft;
    draft.payload = Some(full);
    let longest = draft.sign(&operator(0)).unwrap().encode();
    assert!(longest.len() <= MAX_RECORD);
    assert!(Record::decode(&longest).is_ok());
}

#[test]
fn the_committed_corpus_reads_without_a_panic_and_in_one_form_only() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/record");
    let mut taken = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        if let Ok(record) = Record::decode(&bytes) {
            assert_eq!(record.encode(), bytes);
            taken += usize::from(record.verify(&mesh()).is_ok());
        }
    }
    assert!(taken > 0, "the corpus holds records that are taken");
}

#[test]
#[ignore = "writes the corpus anew, after a change of the wire form"]
fn write_the_corpus() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/record");
    let plan = plan_record(7, &plan("billing", 2));
    let later =
        Draft { key: Key { kind: "later".parse().unwrap(), ..plan.draft.key.clone() }, ..plan.draft.clone() };
    let mut broken = plan.encode();
    broken[40] ^= 0xff;
    let ends = Draft { expires: Some(now()), ..plan.draft.clone() };
    let seeds = [
        ("plan", plan.encode()),
        ("budget", budget_record(1, &budget("billing", 2)).encode()),
        ("removal", removal(Kind::Plan, "billing", 8).encode()),
        ("endpoint", own_record(&endpoint("billing", "node-1", "billing-a"), 3, &node_key(1)).encode()),
        ("later-kind", later.sign(&operator(0)).unwrap().encode()),
        ("ends", ends.sign(&operator(0)).unwrap().encode()),
        ("broken", broken),
        ("truncated", plan.encode()[..120].to_vec()),
        ("empty", Vec::new()),
    ];
    std::fs::create_dir_all(corpus).unwrap();
    for (name, bytes) in seeds {
        std::fs::write(format!("{corpus}/{name}"), bytes).unwrap();
    }
}
