use std::collections::BTreeMap;
use std::time::Duration;

use types::Signer as _;

use super::*;
use crate::testing::*;
use crate::{Draft, Kind, Owner, RecordName, TOMBSTONE_LIFE, Write};

mod absence;
mod merge;
mod rules;

fn submit(core: &mut Core, record: Record) -> Result<Receipt, Refused> {
    step(core, Input::Submit(verified(record)), now())
}

fn merge(core: &mut Core, record: Record) -> Result<Receipt, Refused> {
    step(core, Input::Merge(verified(record)), now())
}

fn step(core: &mut Core, input: Input, now: Timestamp) -> Result<Receipt, Refused> {
    let answer = core.handle(input, now).into_iter().find_map(|output| match output {
        Output::Accepted(receipt) => Some(Ok(receipt)),
        Output::Refused(reason) => Some(Err(reason)),
        _ => None,
    });
    answer.expect("an answer")
}

fn month_later() -> Timestamp {
    now() + TOMBSTONE_LIFE + Duration::from_secs(1)
}

#[test]
fn of_two_plans_of_one_generation_one_holds_and_the_other_is_in_sight_until_the_next() {
    let (a, b) = (plan_record(1, &plan("billing", 2)), plan_record(1, &plan("billing", 3)));
    let (loser, winner) = if a.id() < b.id() { (a, b) } else { (b, a) };
    for order in [[&loser, &winner], [&winner, &loser]] {
        let mut core = core();
        for record in order {
            merge(&mut core, record.clone()).unwrap();
        }
        assert_eq!(core.get(winner.key()), Some(&winner));
        assert_eq!(core.conflicts().collect::<Vec<_>>(), [(&loser, &winner)]);
        submit(&mut core, plan_record(2, &plan("billing", 4))).unwrap();
        assert_eq!(core.conflicts().count(), 0);
        assert_eq!(core.records().count(), 1);
    }
}

#[test]
fn the_same_said_by_two_operators_is_no_conflict() {
    let mut core = core();
    for signer in [operator(0), operator(1)] {
        merge(&mut core, Record::plan(mesh(), 1, &plan("billing", 2), &signer).unwrap()).unwrap();
    }
    assert_eq!((core.records().count(), core.conflicts().count()), (2, 0));
}

#[test]
fn a_submission_must_go_on_from_what_is_here() {
    let mut core = core();
    let first = plan_record(3, &plan("billing", 2));
    assert!(submit(&mut core, first.clone()).unwrap().new);
    assert!(!submit(&mut core, first).unwrap().new, "the same again is fine");
    for generation in [2, 3] {
        let error = submit(&mut core, plan_record(generation, &plan("billing", 9))).unwrap_err();
        let expected = Refused::Stale { key: "plan billing".into(), offered: generation, current: 3 };
        assert_eq!(error, expected);
    }
    assert_eq!(core.view(&Namespace::default()).plans[&app("billing")].value.min, 2);
}

#[test]
fn conflicting_records_of_one_name_are_bounded() {
    let mut core = core();
    for replicas in 0..50 {
        drop(merge(&mut core, plan_record(1, &plan("billing", replicas))));
    }
    assert_eq!((core.records().count(), core.conflicts().count()), (8, 7));
}

#[test]
fn an_old_plan_never_comes_back_even_when_its_tombstone_is_gone() {
    let mut core = core();
    let old = plan_record(4, &plan("billing", 2));
    submit(&mut core, old.clone()).unwrap();
    submit(&mut core, removal(Kind::Plan, "billing", 5)).unwrap();
    assert!(core.view(&Namespace::default()).plans.is_empty());
    assert!(matches!(merge(&mut core, old.clone()), Err(Refused::Stale { current: 5, .. })));
    assert_eq!(core.records().count(), 1, "the tombstone");

    core.handle(Input::Tick, month_later());
    assert_eq!(core.records().count(), 0);
    let error = step(&mut core, Input::Merge(verified(old.clone())), month_later()).unwrap_err();
    assert!(matches!(error, Refused::Stale { current: 5, .. }), "{error}");
    assert_eq!(core.next_generation(old.key()), 6);
    let next = verified(plan_record(6, &plan("billing", 1)));
    assert!(step(&mut core, Input::Submit(next), month_later()).unwrap().new);
}

#[test]
fn a_tombstone_that_comes_after_its_end_still_rules_out_what_it_removed() {
    let old = plan_record(4, &plan("billing", 2));
    let tombstone = removal(Kind::Plan, "billing", 5);
    for order in [[&old, &tombstone], [&tombstone, &old]] {
        let mut core = core();
        for record in order {
            drop(step(&mut core, Input::Merge(verified(record.clone())), month_later()));
        }
        assert_eq!(core.records().count(), 0);
        assert_eq!(core.next_generation(old.key()), 6);
    }
}

#[test]
fn a_tombstone_that_lost_takes_nothing_with_it_when_it_ends() {
    let winner = (2..).map(|n| plan_record(1, &plan("billing", n)));
    let tombstone = removal(Kind::Plan, "billing", 1);
    let winner = winner.into_iter().find(|plan| plan.id() > tombstone.id()).unwrap();
    let mut core = core();
    merge(&mut core, tombstone).unwrap();
    merge(&mut core, winner.clone()).unwrap();
    core.handle(Input::Tick, month_later());
    assert_eq!(core.records().collect::<Vec<_>>(), [&winner]);
    assert_eq!(core.view(&Namespace::default()).plans.len(), 1);
}

#[test]
fn nothing_unauthorised_gets_in() {
    let mut core = core();
    let stranger = Record::plan(mesh(), 1, &plan("billing", 2), &operator(2)).unwrap();
    let of_node = Record::plan(mesh(), 1, &plan("billing", 2), &node_key(1)).unwrap();
    let sign = |node: &str, signer: &KeyPair| own_record(&endpoint("billing", node, "billing-a"), 1, signer);
    for record in [
        stranger,
        of_node,
        sign("node-1", &node_key(2)),
        sign("node-1", &operator(0)),
        sign("node-3", &node_key(3)),
    ] {
        let error = merge(&mut core, record).unwrap_err();
        assert!(matches!(error, Refused::Unauthorised { .. }), "{error}");
    }
    assert_eq!(core.records().count(), 0);
    assert_eq!(core.version, 0);
    merge(&mut core, sign("node-1", &node_key(1))).unwrap();
}

#[test]
fn content_must_be_what_the_envelope_says_and_make_sense() {
    let refused = |kind: Kind, name: &str, owner: Owner, payload: &str| {
        let mut draft = Draft::of_operator(mesh(), kind, name.parse().unwrap(), 1);
        draft.key.owner = owner;
        draft.payload = Some(payload.as_bytes().to_vec());
        let error = draft.sign(&operator(0)).unwrap().verify(&mesh()).unwrap_err();
        assert!(matches!(error, Refused::Content { .. }), "{error}");
        error.to_string()
    };
    let plan_json = serde_json::to_string(&plan("billing", 2)).unwrap();
    let budget_json = serde_json::to_string(&budget("billing", 2)).unwrap();
    let operator = || Owner::Operator;
    assert!(refused(Kind::Plan, "other", operator(), &plan_json).contains("about billing"));
    assert!(refused(Kind::Plan, "billing", operator(), &budget_json).contains("missing field"));
    assert!(
        refused(Kind::Plan, "billing", Owner::Node(node_name("node-1")), &plan_json)
            .contains("not written by")
    );
    let twice = plan_json.replacen('{', "{\"min\":1,", 1);
    assert!(refused(Kind::Plan, "billing", operator(), &twice).contains("stands twice"));
    let inverted = plan_json.replace("\"min\":2", "\"min\":3");
    assert!(refused(Kind::Plan, "billing", operator(), &inverted).contains("more than max"));
    assert!(refused("later".parse().unwrap(), "x", operator(), "{").contains("not strict JSON"));
    let endpoint_json = serde_json::to_string(&endpoint("billing", "node-1", "billing-a")).unwrap();
    let name = "billing/node-1/billing-a";
    assert!(
        refused(Kind::Endpoint, name, Owner::Node(node_name("node-2")), &endpoint_json)
            .contains("its owner is")
    );
    assert!(refused(Kind::Endpoint, name, operator(), &endpoint_json).contains("not written by"));
}

#[test]
fn a_removal_must_name_what_its_owner_could_have_written() {
    let refused = |kind: Kind, name: &str, owner: Owner| {
        let mut draft = Draft::of_operator(mesh(), kind, name.parse().unwrap(), 1).removal(month_later());
        draft.key.owner = owner;
        draft.sign(&operator(0)).unwrap().verify(&mesh()).is_err()
    };
    let of_node = || Owner::Node(node_name("node-1"));
    assert!(refused(Kind::Endpoint, "billing/node-2/billing-a", of_node()));
    assert!(refused(Kind::Endpoint, "billing/node-1", of_node()));
    assert!(refused(Kind::Observed, "billing/node-2", of_node()));
    assert!(refused(Kind::Node, "node-2", of_node()));
    assert!(refused(Kind::Plan, "billing/x", Owner::Operator));
    assert!(refused(Kind::Plan, "billing", of_node()));
    assert!(!refused(Kind::Endpoint, "billing/node-1/billing-a", of_node()));
}

#[test]
fn a_kind_of_a_later_version_is_carried() {
    let mut core = core();
    let name: RecordName = "a/b".parse().unwrap();
    let draft = Draft::of_operator(mesh(), "later".parse().unwrap(), name, 1);
    let record = draft.value(&serde_json::json!({ "new": true })).unwrap().sign(&operator(0)).unwrap();
    merge(&mut core, record.clone()).unwrap();
    assert_eq!(core.records().collect::<Vec<_>>(), [&record]);
}

#[test]
fn namespaces_are_apart() {
    let mut core = core();
    let other = Namespace::new("other").unwrap();
    let draft = plan_record(1, &plan("billing", 7)).draft.namespace(other.clone());
    submit(&mut core, plan_record(1, &plan("billing", 2))).unwrap();
    submit(&mut core, draft.sign(&operator(0)).unwrap()).unwrap();
    let replicas = |namespace: &Namespace| core.view(namespace).plans[&app("billing")].value.min;
    assert_eq!((replicas(&Namespace::default()), replicas(&other)), (2, 7));
}

#[test]
fn clocks_are_believed_within_bounds_only() {
    let mut core = core();
    let draft = |end: Timestamp| {
        let mut draft = plan_record(1, &plan("billing", 2)).draft;
        draft.expires = Some(end);
        draft.sign(&operator(0)).unwrap()
    };
    let ended = merge(&mut core, draft(now())).unwrap_err();
    assert!(matches!(ended, Refused::Expiry { reason: "it has ended already", .. }));
    let far = merge(&mut core, draft(Timestamp::from_secs(4_000_000_000))).unwrap_err();
    assert!(matches!(far, Refused::Expiry { .. }));
    let name = RecordName::of_app(&app("frontend"));
    let late = now() + TOMBSTONE_LIFE * 2;
    let removal = Record::remove(mesh(), Kind::Plan, name, 1, late, &operator(0)).unwrap();
    assert!(matches!(merge(&mut core, removal), Err(Refused::Expiry { .. })));
    assert_eq!(core.records().count(), 0);
}

#[test]
fn what_ends_by_itself_leaves_and_readers_are_told() {
    let mut core = core();
    let mut draft = plan_record(1, &plan("billing", 2)).draft;
    draft.expires = Some(now() + Duration::from_secs(60));
    submit(&mut core, draft.sign(&operator(0)).unwrap()).unwrap();
    assert!(core.handle(Input::Tick, now() + Duration::from_secs(59)).is_empty());
    let outputs = core.handle(Input::Tick, now() + Duration::from_secs(60));
    assert!(outputs.contains(&Output::Changed(2)), "{outputs:?}");
    assert!(core.view(&Namespace::default()).plans.is_empty());
}

#[test]
fn a_node_holds_so_much_and_no_more() {
    let mut core = core();
    let endpoint = |n: usize| endpoint("billing", "node-1", &format!("billing-{n}"));
    let record = |n: usize, message: usize, sequence: u64| {
        let mut endpoint = endpoint(n);
        endpoint.message = "x".repeat(message);
        own_record(&endpoint, sequence, &node_key(1))
    };
    let taken = (0..2200).map(|n| merge(&mut core, record(n, 4000, n as u64 + 1)));
    let refused: Vec<Refused> = taken.filter_map(Result::err).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|error| matches!(error, Refused::TooMany { what: "8 MiB at most", .. })));
    let mut core = self::core();
    for n in 0..4096 {
        merge(&mut core, record(n, 0, n as u64 + 1)).unwrap();
    }
    let error = merge(&mut core, record(5000, 0, 5000)).unwrap_err();
    assert!(matches!(error, Refused::TooMany { what: "4096 at most", .. }), "{error}");
    merge(&mut core, record(7, 10, 5001)).unwrap();
    merge(&mut core, own_record(&self::endpoint("billing", "node-2", "billing-a"), 1, &node_key(2))).unwrap();
}

#[test]
fn a_key_that_lost_its_authority_takes_its_records_along() {
    let mut core = core();
    let (first, second) = (plan_record(1, &plan("billing", 2)), plan_record(1, &plan("frontend", 2)));
    submit(&mut core, first.clone()).unwrap();
    let second = second.draft.sign(&operator(1)).unwrap();
    submit(&mut core, second.clone()).unwrap();
    let mut fewer = authority();
    fewer.operators.remove(&operator(1).public_key());
    core.handle(Input::Authority(fewer), now());
    assert_eq!(core.records().collect::<Vec<_>>(), [&first]);
    assert!(!core.view(&Namespace::default()).plans.contains_key(&app("frontend")));
    core.handle(Input::Authority(authority()), now());
    assert!(merge(&mut core, second).unwrap().new);
}

#[test]
fn a_node_counts_on_from_whatever_was_seen_of_it() {
    let mut core = core();
    let incarnation = now().as_millis();
    let (node, key) = (node_name("node-1"), node_key(1).public_key());
    assert_eq!(core.next_order(&node, &key), Order::sequence(incarnation, 1));
    let endpoint = endpoint("billing", "node-1", "billing-a");
    merge(&mut core, own_record(&endpoint, 9, &node_key(1))).unwrap();
    assert_eq!(core.next_order(&node, &key), Order::sequence(incarnation, 1), "an earlier life");
    let mut ahead = own_record(&endpoint, 9, &node_key(1)).draft;
    ahead.order = Order::sequence(incarnation + 5, 3);
    merge(&mut core, ahead.sign(&node_key(1)).unwrap()).unwrap();
    assert_eq!(core.next_order(&node, &key), Order::sequence(incarnation + 5, 4), "a clock that was ahead");
}

/// Carries out what a core wants written.
fn write_down(disk: &mut BTreeMap<Vec<u8>, Vec<u8>>, outputs: impl IntoIterator<Item = Output>) {
    for output in outputs {
        match output {
            Output::Write(Write::Put { key, value }) => drop(disk.insert(key, value)),
            Output::Write(Write::Delete { key }) => drop(disk.remove(&key)),
            _ => {}
        }
    }
}

#[test]
fn what_does_not_hold_on_disk_is_dropped_and_named() {
    let mut disk = BTreeMap::new();
    let mut first = core();
    for name in ["billing", "frontend", "search"] {
        let record = verified(plan_record(1, &plan(name, 2)));
        write_down(&mut disk, first.handle(Input::Submit(record), now()));
    }
    let broken = disk.values_mut().next().unwrap();
    *broken.last_mut().unwrap() ^= 1;
    let mut second = core();
    let (outputs, refused) = second.load(disk.clone(), now());
    write_down(&mut disk, outputs);
    assert_eq!((second.records().count(), refused.len(), disk.len()), (2, 1, 3));
    assert!(matches!(refused[0], Refused::Signature { .. }), "{refused:?}");

    let mut later = Core::new(mesh(), authority(), Timestamp::from_secs(5));
    later.load(disk, now());
    assert_eq!(later.incarnation, now().as_millis() + 1, "above the last one, though the clock went back");
}
