use super::*;
use crate::testing::*;
use crate::{MEMBERSHIP_LIFE, Succession};

const SECOND: Duration = Duration::from_secs(1);

/// The chain with its issuer's certificate changed, and signed by `signer`.
fn with_issuer(signer: u8, change: impl FnOnce(&mut Certificate)) -> Chain {
    let mut chain = chain();
    change(&mut chain.issuer);
    chain.issuer = chain.issuer.signed(&key(signer)).unwrap();
    chain
}

/// The chain with its membership changed, and signed by `signer`.
fn with_membership(signer: u8, change: impl FnOnce(&mut Certificate)) -> Chain {
    let mut chain = chain();
    change(&mut chain.membership);
    chain.membership = chain.membership.signed(&key(signer)).unwrap();
    chain
}

fn succeeded() -> Roots {
    let mut roots = roots();
    let next = Succession::sign(&roots, public(NEW_ROOT), public(RECOVERY), &key(RECOVERY)).unwrap();
    assert_eq!(roots.apply(&next), Ok(true));
    roots
}

#[test]
fn a_member_is_who_its_chain_says() {
    let member = chain().verify(&roots(), NOW).unwrap();
    let expected = Member {
        key: public(NODE),
        name: name("node-1"),
        issuer: public(ISSUER),
        expires: NOW + MEMBERSHIP_LIFE,
    };
    assert_eq!(member, expected);
    assert_eq!(Chain::decode(&chain().encode()).unwrap(), chain());
}

#[test]
fn every_altered_byte_of_a_chain_is_refused() {
    for altered in alterations(&chain().encode()) {
        let believed = Chain::decode(&altered).is_ok_and(|chain| chain.verify_known(&roots()).is_ok());
        assert!(!believed, "{altered:?}");
    }
}

#[test]
fn what_nobody_may_say_is_refused_of_strangers_and_of_known_members() {
    let other = MeshId::from_bytes([9; 32]);
    let cases = [
        (with_issuer(ROOT, |c| c.mesh = other), Refusal::OtherMesh(other)),
        (with_membership(ISSUER, |c| c.mesh = other), Refusal::OtherMesh(other)),
        (with_issuer(ROOT, |c| c.role = Role::Member(name("node-9"))), Refusal::Role(Part::Issuer)),
        (with_membership(ISSUER, |c| c.role = Role::Issuer), Refusal::Role(Part::Membership)),
        (with_membership(OTHER, |_| ()), Refusal::OtherIssuer(public(OTHER))),
        (with_issuer(ROOT, |c| c.subject = public(OTHER)), Refusal::OtherIssuer(public(ISSUER))),
        (with_issuer(OTHER, |_| ()), Refusal::Root { issuer: public(ISSUER), root: public(OTHER) }),
        (with_issuer(RECOVERY, |_| ()), Refusal::Root { issuer: public(ISSUER), root: public(RECOVERY) }),
    ];
    for (chain, refusal) in cases {
        assert_eq!(chain.verify(&roots(), NOW).as_ref(), Err(&refusal));
        assert_eq!(chain.verify_known(&roots()), Err(refusal));
    }
}

#[test]
fn a_signature_by_another_hand_is_refused() {
    let mut forged = chain();
    forged.membership = forged.membership.signed(&key(OTHER)).unwrap();
    forged.membership.signer = public(ISSUER);
    assert_eq!(forged.verify(&roots(), NOW), Err(Refusal::Signature(Part::Membership)));
    let mut forged = chain();
    forged.issuer = forged.issuer.signed(&key(OTHER)).unwrap();
    forged.issuer.signer = public(ROOT);
    assert_eq!(forged.verify_known(&roots()), Err(Refusal::Signature(Part::Issuer)));
}

#[test]
fn a_member_can_not_let_others_in() {
    let mut chain = chain();
    let promoted = Chain { issuer: chain.membership.clone(), membership: chain.membership };
    assert_eq!(promoted.verify(&roots(), NOW), Err(Refusal::Role(Part::Issuer)));
    // Nor does it help to call oneself an issuer.
    chain.membership = membership();
    let mut own = chain.issuer.clone();
    own.subject = public(NODE);
    own.signer = public(ROOT);
    assert_eq!(
        Chain { membership: with_membership(NODE, |_| ()).membership, issuer: own }.verify(&roots(), NOW),
        Err(Refusal::Signature(Part::Issuer))
    );
}

#[test]
fn time_is_judged_with_five_minutes_of_tolerance_and_no_more() {
    let end = NOW + MEMBERSHIP_LIFE;
    let verify = |now| chain().verify(&roots(), now);
    assert!(verify(end + CLOCK_SKEW).is_ok());
    assert_eq!(verify(end + CLOCK_SKEW + SECOND), Err(Refusal::Expired(Part::Membership, end)));
    let early = |seconds| Timestamp::from_millis(NOW.as_millis() - seconds * 1000);
    assert!(verify(early(CLOCK_SKEW.as_secs())).is_ok());
    assert_eq!(verify(early(CLOCK_SKEW.as_secs() + 1)), Err(Refusal::NotYet(Part::Issuer, NOW)));

    let over = with_issuer(ROOT, |c| c.not_after = NOW + SECOND);
    let late = NOW + CLOCK_SKEW + SECOND * 2;
    assert_eq!(over.verify(&roots(), late), Err(Refusal::Expired(Part::Issuer, NOW + SECOND)));
    let future = with_membership(ISSUER, |c| c.not_before = late);
    assert_eq!(future.verify(&roots(), NOW), Err(Refusal::NotYet(Part::Membership, late)));
    assert_eq!(over.verify(&roots(), NOW).unwrap().expires, NOW + SECOND, "it holds as long as both do");
}

#[test]
fn expiry_does_not_cut_off_who_is_known() {
    for years in [0, 1, 50] {
        let later = NOW + Duration::from_hours(24 * 365 * years + 48);
        assert!(matches!(chain().verify(&roots(), later), Err(Refusal::Expired(..))));
    }
    assert_eq!(chain().verify_known(&roots()).unwrap().key, public(NODE));
}

#[test]
fn a_membership_for_years_is_not_believed() {
    let week = with_membership(ISSUER, |c| c.not_after = NOW + MAX_MEMBERSHIP_LIFE);
    assert!(week.verify(&roots(), NOW).is_ok());
    let more = with_membership(ISSUER, |c| c.not_after = NOW + MAX_MEMBERSHIP_LIFE + SECOND);
    assert_eq!(more.verify(&roots(), NOW), Err(Refusal::TooLong));
}

#[test]
fn a_replaced_root_admits_nobody_and_cuts_nobody_off() {
    let roots = succeeded();
    assert_eq!(chain().verify(&roots, NOW), Err(Refusal::ReplacedRoot(public(ISSUER))));
    assert!(chain().verify_known(&roots).is_ok());
    assert!(with_issuer(NEW_ROOT, |_| ()).verify(&roots, NOW).is_ok());
}

#[test]
fn a_revoked_node_or_issuer_is_refused_by_its_key() {
    let check = |seed| chain().check_revoked(&[public(seed)].into());
    assert_eq!(check(OTHER), Ok(()));
    assert_eq!(check(NODE), Err(Refusal::Revoked(Part::Membership, public(NODE))));
    assert_eq!(check(ISSUER), Err(Refusal::Revoked(Part::Issuer, public(ISSUER))));
}

#[test]
fn renewal_is_due_at_half_life_or_when_the_root_was_replaced() {
    assert_eq!(chain().renew_at(&roots()), NOW + MEMBERSHIP_LIFE / 2);
    assert_eq!(chain().renew_at(&succeeded()), Timestamp::default());
}
