//! Who may write follows from records: each rule, in the order of the levels.

use std::collections::BTreeMap;

use soul::{Chain, Succession};
use types::{NodeName, PublicKey};

use super::{write_down, *};
use crate::testing::papers::{
    self, ISSUERS, NEW_RECOVERY, NEW_ROOT, NODES, OPERATORS, RECOVERY, ROOT, chain, chain_by, endpoint_by,
    give, issuer_by, key, member, member_of, membership_at, new_roots, operator_by, plan_by, public, revoke,
    root_change, then,
};

mod converge;

const A: u8 = OPERATORS[0];
const B: u8 = OPERATORS[1];
const X: u8 = ISSUERS[0];
const Y: u8 = ISSUERS[1];
const N: [u8; 3] = NODES;

/// A store that was given these; all must be taken.
fn with(records: &[&Record]) -> Core {
    let mut core = papers::core();
    for record in records {
        assert!(give(&mut core, record).unwrap().new);
    }
    core
}

fn holds(core: &Core, record: &Record) -> bool {
    core.by_id(record.id()).is_some()
}

fn is_unauthorised(refused: Result<Receipt, Refused>) -> bool {
    matches!(refused, Err(Refused::Unauthorised { .. }))
}

fn node(core: &Core, name: &str) -> Option<PublicKey> {
    core.authority().nodes.get(&node_name(name)).copied()
}

#[test]
fn without_roots_nobody_is_made_anything() {
    let mut core = Core::new(papers::mesh(), Authority::default(), now());
    for record in [
        root_change(&papers::roots(), &[], 1, ROOT),
        papers::operator(A),
        issuer_by(ROOT, X, 1),
        member(X, N[0], "node-1", 0, 1),
        revoke(N[0], 1, A),
    ] {
        assert!(is_unauthorised(give(&mut core, &record)), "{}", record.key());
    }
}

#[test]
fn the_root_makes_operators_and_nobody_else_does() {
    let mut core = papers::core();
    let plan = plan_by(A, "billing", 1, 1);
    assert!(is_unauthorised(give(&mut core, &plan)));
    for other in [RECOVERY, NEW_ROOT, A, N[0]] {
        assert!(is_unauthorised(give(&mut core, &operator_by(other, A, 1, None))));
    }
    give(&mut core, &papers::operator(A)).unwrap();
    give(&mut core, &plan).unwrap();
    assert!(is_unauthorised(give(&mut core, &operator_by(A, B, 1, None))), "an operator makes no operator");
    assert_eq!(core.authority().operators, [public(A)].into());
    assert_eq!(core.view(&Namespace::default()).operators[&public(A)].writer, public(ROOT));
}

#[test]
fn of_a_removed_operator_stays_what_its_removal_keeps_and_nothing_new_comes() {
    let (kept, lost) = (plan_by(A, "billing", 3, 1), plan_by(A, "search", 3, 1));
    let of_other = plan_by(B, "frontend", 1, 1);
    let mut core = with(&[&papers::operator(A), &papers::operator(B), &kept, &lost, &of_other]);
    give(&mut core, &operator_by(ROOT, A, 2, Some(&[kept.id()]))).unwrap();
    assert!(holds(&core, &kept) && holds(&core, &of_other) && !holds(&core, &lost));
    assert_eq!(core.view(&Namespace::default()).plans.len(), 2);
    // Whoever has the stolen key tries everything: what left, something new, and the place of what is kept.
    for stolen in [&lost, &plan_by(A, "new", 1, 1), &plan_by(A, "billing", 9, 9), &revoke(N[0], 1, A)] {
        assert!(is_unauthorised(give(&mut core, stolen)), "{}", stolen.key());
    }
    assert!(holds(&core, &kept));
    let mut late = papers::core();
    give(&mut late, &operator_by(ROOT, A, 2, Some(&[kept.id()]))).unwrap();
    give(&mut late, &kept).unwrap();
    assert!(is_unauthorised(give(&mut late, &lost)), "who heard of it later holds the same");
}

#[test]
fn what_a_stolen_key_drove_out_comes_back() {
    let (good, bad) = (plan_by(B, "billing", 1, 1), plan_by(A, "billing", 9, 9));
    let mut core = with(&[&papers::operator(A), &papers::operator(B), &good, &bad]);
    assert!(!holds(&core, &good));
    give(&mut core, &operator_by(ROOT, A, 2, Some(&[]))).unwrap();
    assert!(give(&mut core, &good).unwrap().new);
}

#[test]
fn a_node_says_what_its_membership_lets_it_say() {
    let endpoint = endpoint_by(N[0], "node-1", "billing-a", 2);
    let mut core = papers::core();
    assert!(is_unauthorised(give(&mut core, &endpoint)));
    let own = chain(X, N[0], "node-1", 0);
    assert!(is_unauthorised(give(&mut core, &member_of(&own, "node-1", 1, N[1]))), "chains are no secret");
    let renamed = member_of(&own, "node-2", 1, N[0]).verify(&papers::mesh());
    assert!(matches!(renamed, Err(Refused::Content { .. })));
    let of_stranger = member_of(&chain_by(A, X, N[0], "node-1", 0), "node-1", 1, N[0]);
    assert!(
        matches!(give(&mut core, &of_stranger), Err(Refused::NotAdmitted { .. })),
        "a root that never was"
    );

    give(&mut core, &member(X, N[0], "node-1", 0, 1)).unwrap();
    give(&mut core, &endpoint).unwrap();
    assert_eq!(node(&core, "node-1"), Some(public(N[0])));
    assert!(is_unauthorised(give(&mut core, &endpoint_by(N[0], "node-2", "billing-a", 3))));
    assert!(is_unauthorised(give(&mut core, &endpoint_by(N[1], "node-1", "billing-b", 3))));
    let shown = core.view(&Namespace::default()).members[&node_name("node-1")].clone();
    assert_eq!((shown.member.key, shown.member.issuer), (public(N[0]), public(X)));
    assert_eq!(shown.member.expires, shown.chain.membership.not_after);
}

#[test]
fn a_membership_that_expired_long_ago_holds_in_the_store() {
    let member = member(X, N[0], "node-1", 0, 1);
    let mut core = with(&[&member]);
    let end = core.view(&Namespace::default()).members[&node_name("node-1")].member.expires;
    assert!(end < now());
    core.handle(Input::Tick, now() + Duration::from_hours(20 * 365 * 24));
    assert!(holds(&core, &member));
    assert!(!give(&mut core, &member).unwrap().new);
}

#[test]
fn a_revoked_node_is_out_with_all_it_said_and_never_back() {
    let (own, endpoint) = (member(X, N[0], "node-1", 0, 1), endpoint_by(N[0], "node-1", "billing-a", 2));
    let (other, theirs) = (member(X, N[1], "node-2", 0, 1), endpoint_by(N[1], "node-2", "billing-a", 2));
    let mut core = with(&[&papers::operator(A), &own, &endpoint, &other, &theirs]);
    assert!(is_unauthorised(give(&mut core, &revoke(N[0], 1, B))));
    give(&mut core, &revoke(N[0], 1, A)).unwrap();
    assert!(!holds(&core, &own) && !holds(&core, &endpoint) && holds(&core, &other) && holds(&core, &theirs));
    assert_eq!((node(&core, "node-1"), core.revoked()), (None, &[public(N[0])].into()));
    assert!(core.view(&Namespace::default()).revoked.contains_key(&public(N[0])));
    for again in [&own, &member(Y, N[0], "node-1", 500, 9), &member(Y, N[0], "node-9", 500, 9)] {
        assert!(matches!(give(&mut core, again), Err(Refused::NotAdmitted { .. })));
    }
    // The name is free for a new key, which counts from the start.
    give(&mut core, &member(X, N[2], "node-1", 900, 1)).unwrap();
    give(&mut core, &endpoint_by(N[2], "node-1", "billing-a", 1)).unwrap();
    assert!(is_unauthorised(give(&mut core, &endpoint)));
}

#[test]
fn whom_a_revoked_issuer_let_in_stays_in_and_the_issuer_itself_does_not() {
    let (by_x, of_x) = (member(X, N[0], "node-1", 0, 1), member(Y, X, "node-0", 0, 1));
    let mut core = with(&[&papers::operator(A), &by_x, &of_x]);
    give(&mut core, &revoke(X, 1, A)).unwrap();
    assert!(holds(&core, &by_x) && !holds(&core, &of_x));
    assert!(give(&mut core, &of_x).is_err());
}

#[test]
fn a_name_belongs_to_whom_it_was_given_first_in_whatever_order_they_are_heard_of() {
    let first = member(X, N[0], "node-1", 100, 1);
    let renewed = member(X, N[0], "node-1", 900, 2);
    let second = member(Y, N[1], "node-1", 500, 77);
    let endpoint = endpoint_by(N[1], "node-1", "billing-a", 78);
    let mut core = with(&[&first, &renewed]);
    let refused = give(&mut core, &second).unwrap_err();
    assert!(matches!(&refused, Refused::NotAdmitted { .. }), "{refused}");
    assert!(is_unauthorised(give(&mut core, &endpoint)));
    let shown = core.view(&Namespace::default()).members[&node_name("node-1")].chain.clone();
    assert_eq!(shown.membership.not_before, then(900), "the newest is what is shown");
    assert_eq!(core.conflicts().count(), 0);

    let mut core = with(&[&second, &endpoint, &first]);
    assert!(!holds(&core, &second) && !holds(&core, &endpoint));
    assert_eq!(node(&core, "node-1"), Some(public(N[0])));
    give(&mut core, &papers::operator(A)).unwrap();
    give(&mut core, &revoke(N[0], 1, A)).unwrap();
    give(&mut core, &second).unwrap();
    assert_eq!(node(&core, "node-1"), Some(public(N[1])));
}

#[test]
fn what_was_dated_back_goes_no_farther_than_its_issuer() {
    let (a, b) = (chain(X, N[0], "node-1", 0), chain(Y, N[1], "node-1", 0));
    let since = |chain: &Chain| chain.membership.not_before.max(chain.issuer.not_before);
    assert_eq!(since(&a), since(&b));
    let earlier = member_of(&chain_before(Y, N[1], "node-1"), "node-1", 1, N[1]);
    let [low, high] = if public(N[0]) < public(N[1]) { [N[0], N[1]] } else { [N[1], N[0]] };
    let of = |node: u8| if node == N[1] { earlier.clone() } else { member(X, N[0], "node-1", 0, 1) };
    let core = with(&[&of(low)]);
    let mut other = with(&[&of(high)]);
    give(&mut other, &of(low)).unwrap();
    assert_eq!(core.authority(), other.authority(), "as old as its issuer, so that the keys decide");
}

fn chain_before(issuer: u8, node: u8, name: &str) -> Chain {
    let mut early = chain(issuer, node, name, 0);
    early.membership = membership_at(issuer, node, name, Timestamp::from_secs(1));
    early
}

#[test]
fn a_name_that_was_given_to_the_store_is_no_records_to_take() {
    let base = Authority { nodes: [(node_name("node-1"), public(N[0]))].into(), ..papers::authority() };
    let mut core = Core::new(papers::mesh(), base, now());
    assert!(matches!(give(&mut core, &member(X, N[1], "node-1", 0, 1)), Err(Refused::NotAdmitted { .. })));
    give(&mut core, &papers::operator(A)).unwrap();
    give(&mut core, &revoke(N[0], 1, A)).unwrap();
    assert_eq!(node(&core, "node-1"), None);
    give(&mut core, &member(X, N[1], "node-1", 0, 1)).unwrap();
}

#[test]
fn a_new_root_keeps_what_it_names_of_the_old_ones() {
    let (a, b) = (papers::operator(A), papers::operator(B));
    let issuers = [issuer_by(ROOT, X, 1), issuer_by(ROOT, Y, 1)];
    let (plan_a, plan_b) = (plan_by(A, "billing", 1, 1), plan_by(B, "search", 1, 1));
    let (own, revoked) = (member(X, N[0], "node-1", 0, 1), revoke(N[2], 1, B));
    let all = [&a, &b, &issuers[0], &issuers[1], &plan_a, &plan_b, &own, &revoked];
    let mut core = with(&all);
    let change = root_change(&new_roots(), &[a.id(), issuers[0].id()], 1, NEW_ROOT);
    for forged in [
        root_change(&new_roots(), &[], 2, ROOT),
        root_change(&papers::roots(), &[], 2, NEW_ROOT),
        root_change(&papers::roots(), &[], 2, A),
    ] {
        assert!(is_unauthorised(give(&mut core, &forged)));
    }
    give(&mut core, &change).unwrap();
    assert!(holds(&core, &a) && holds(&core, &plan_a) && holds(&core, &issuers[0]));
    assert!(
        !holds(&core, &b) && !holds(&core, &plan_b) && !holds(&core, &issuers[1]) && !holds(&core, &revoked)
    );
    assert!(holds(&core, &own), "who is known stays");
    assert_eq!(core.authority().roots.as_ref().unwrap().root(), public(NEW_ROOT));
    // The old root, stolen: nothing new, and no way back.
    for stolen in [operator_by(ROOT, B, 5, None), operator_by(ROOT, A, 5, Some(&[])), issuer_by(ROOT, Y, 5)] {
        assert!(is_unauthorised(give(&mut core, &stolen)));
    }
    let back = root_change(&papers::roots(), &[b.id()], 1000, ROOT);
    assert!(is_unauthorised(give(&mut core, &back)));
    give(&mut core, &operator_by(NEW_ROOT, B, 1, None)).unwrap();
    assert_eq!(core.authority().operators, [public(A), public(B)].into());
}

#[test]
fn a_new_root_that_names_nothing_drops_all() {
    let (a, plan) = (papers::operator(A), plan_by(A, "billing", 1, 1));
    let mut core = with(&[&root_change(&papers::roots(), &[], 500, ROOT), &a, &plan]);
    give(&mut core, &root_change(&new_roots(), &[], 1, NEW_ROOT)).unwrap();
    assert_eq!((core.records().count(), core.authority().operators.len()), (1, 0));
    assert!(is_unauthorised(give(&mut core, &a)) && is_unauthorised(give(&mut core, &plan)));
}

#[test]
fn of_two_successions_signed_apart_the_known_one_stays() {
    let rival = {
        let mut roots = papers::roots();
        let by = key(RECOVERY);
        roots.apply(&Succession::sign(&roots, public(B), public(NEW_RECOVERY), &by).unwrap()).unwrap();
        roots
    };
    let mut core = with(&[&root_change(&new_roots(), &[], 1, NEW_ROOT)]);
    assert!(is_unauthorised(give(&mut core, &root_change(&rival, &[], 9, B))));
    let base = Authority { roots: Some(rival), ..Authority::default() };
    core.handle(Input::Authority(base), now());
    assert_eq!(core.records().count(), 0, "papers are above records");
    assert_eq!(core.authority().roots.as_ref().unwrap().root(), public(B));
}

#[test]
fn what_says_who_may_write_is_neither_removed_nor_ends() {
    let lasting = [
        papers::operator(A),
        issuer_by(ROOT, X, 1),
        revoke(N[0], 1, A),
        member(X, N[0], "node-1", 0, 1),
        root_change(&papers::roots(), &[], 1, ROOT),
    ];
    for record in lasting {
        let mut ends = record.draft.clone();
        ends.expires = Some(now() + Duration::from_hours(1));
        let elsewhere = record.draft.clone().namespace(Namespace::new("other").unwrap());
        for draft in [record.draft.clone().removal(now() + TOMBSTONE_LIFE), ends, elsewhere] {
            let verified = draft.sign(&key(ROOT)).unwrap().verify(&papers::mesh());
            assert!(matches!(verified, Err(Refused::Content { .. })), "{}", record.key());
        }
    }
}

#[test]
fn a_drain_is_an_operators_and_can_be_taken_back() {
    let mut core = with(&[&papers::operator(A)]);
    let drain = genome::Drain { node_id: node_name("node-1") };
    let record = |generation, by| Record::drain(papers::mesh(), generation, &drain, &key(by)).unwrap();
    assert!(is_unauthorised(give(&mut core, &record(1, N[0]))));
    give(&mut core, &record(1, A)).unwrap();
    assert!(core.view(&Namespace::default()).drains.contains_key(&node_name("node-1")));
    let name = RecordName::of_node(&node_name("node-1"));
    let undrain = Record::remove(papers::mesh(), Kind::Drain, name, 2, now(), &key(A)).unwrap();
    give(&mut core, &undrain).unwrap();
    assert!(core.view(&Namespace::default()).drains.is_empty());
}

#[test]
fn secrets_and_configs_are_operators_and_named_as_they_say() {
    let mut core = with(&[&papers::operator(A), &member(X, N[0], "node-1", 100, 1)]);
    let name = types::SettingName::new("db-password").unwrap();
    let secret: genome::Secret =
        serde_json::from_value(serde_json::json!({ "name": name, "version": 1, "sealed": "AAAA" })).unwrap();
    let config: genome::Config =
        serde_json::from_value(serde_json::json!({ "name": name, "version": 1, "text": "a=1" })).unwrap();
    let sealed = |by| Record::secret(papers::mesh(), 1, &secret, &key(by)).unwrap();
    let plain = |by| Record::config(papers::mesh(), 1, &config, &key(by)).unwrap();
    assert!(
        is_unauthorised(give(&mut core, &sealed(N[0]))) && is_unauthorised(give(&mut core, &plain(N[0])))
    );
    give(&mut core, &sealed(A)).unwrap();
    give(&mut core, &plain(A)).unwrap();
    let view = core.view(&Namespace::default());
    assert_eq!((&*view.secrets[&name].value, &*view.configs[&name].value), (&secret, &config));

    let mut elsewhere = sealed(A).draft;
    elsewhere.key.name = "other".parse().unwrap();
    let verified = elsewhere.sign(&key(A)).unwrap().verify(&papers::mesh());
    assert!(matches!(verified, Err(Refused::Content { .. })), "{verified:?}");

    for kind in [Kind::Secret, Kind::Config] {
        let record_name = RecordName::of_setting(&name);
        let gone = Record::remove(papers::mesh(), kind, record_name, 2, now(), &key(A)).unwrap();
        give(&mut core, &gone).unwrap();
    }
    let view = core.view(&Namespace::default());
    assert!(view.secrets.is_empty() && view.configs.is_empty());
}

#[test]
fn a_restart_knows_from_the_journal_what_was_known() {
    let mut disk = BTreeMap::new();
    let mut core = papers::core();
    let a = papers::operator(A);
    let records = [
        a.clone(),
        plan_by(A, "billing", 1, 1),
        papers::operator(B),
        member(X, N[0], "node-1", 100, 1),
        member(X, N[0], "node-1", 200, 2),
        member(X, N[1], "node-2", 100, 1),
        endpoint_by(N[0], "node-1", "billing-a", 3),
        revoke(N[1], 1, A),
        root_change(&new_roots(), &[a.id()], 1, NEW_ROOT),
    ];
    for record in records {
        let verified = record.verify(&papers::mesh()).unwrap();
        write_down(&mut disk, core.handle(Input::Merge(verified), now()));
    }
    let mut again = papers::core();
    let (outputs, refused) = again.load(disk.clone(), now());
    assert_eq!((refused, outputs.len()), (vec![], 1), "the incarnation alone is written");
    assert_eq!(again.authority(), core.authority());
    assert_eq!(again.revoked(), core.revoked());
    assert!(again.records().eq(core.records()));
    assert_eq!(node(&again, "node-1"), Some(public(N[0])));
    let name: NodeName = node_name("node-1");
    assert_eq!(again.next_order(&name, &public(N[1])), Order::sequence(again.incarnation(), 1));
}
