use std::time::Duration;

use super::*;
use crate::MEMBERSHIP_LIFE;
use crate::testing::*;
use crate::{ISSUER_LIFE, Succession};

/// Everything an issuer goes by, to be changed by a test.
struct Office {
    key: u8,
    certificate: Certificate,
    roots: Roots,
    members: BTreeMap<NodeName, PublicKey>,
    revoked: BTreeSet<PublicKey>,
    operators: BTreeSet<PublicKey>,
}

impl Office {
    fn new() -> Self {
        Self {
            key: ISSUER,
            certificate: issuer_certificate(),
            roots: roots(),
            members: [(name("node-1"), public(NODE))].into(),
            revoked: BTreeSet::new(),
            operators: [public(10)].into(),
        }
    }

    fn renew(&self, chain: &Chain, peer: u8, now: Timestamp) -> Result<Answer, IssueError> {
        self.with(|issuer| issuer.renew(chain, &public(peer), now))
    }

    fn with<T>(&self, use_it: impl FnOnce(Issuer<'_>) -> T) -> T {
        use_it(Issuer {
            key: &key(self.key),
            certificate: &self.certificate,
            roots: &self.roots,
            members: &self.members,
            revoked: &self.revoked,
            operators: &self.operators,
            life: MEMBERSHIP_LIFE,
        })
    }
}

fn welcomed(answer: Result<Answer, IssueError>) -> Welcome {
    match answer.unwrap() {
        Answer::Welcome(welcome) => *welcome,
        Answer::Refused(reason) => panic!("{reason}"),
    }
}

fn refused(answer: Result<Answer, IssueError>) -> Reason {
    match answer.unwrap() {
        Answer::Welcome(_) => panic!("it was let in"),
        Answer::Refused(reason) => reason,
    }
}

const MONTH: Duration = Duration::from_hours(30 * 24);

#[test]
fn a_member_gets_the_next_membership_under_the_same_name() {
    let later = NOW + Duration::from_hours(12);
    let welcome = welcomed(Office::new().renew(&chain(), NODE, later));
    let (_, member) = welcome.accept(&roots(), &public(NODE), &name("node-1"), later).unwrap();
    assert_eq!(member.expires, later + MEMBERSHIP_LIFE);
    assert_eq!(welcome.operators, [public(10)].into());
}

#[test]
fn a_member_that_was_away_for_a_month_renews_where_it_is_remembered_and_only_there() {
    let mut office = Office::new();
    welcomed(office.renew(&chain(), NODE, NOW + MONTH));
    office.members.clear();
    assert_eq!(refused(office.renew(&chain(), NODE, NOW + MONTH)), Reason::NotAMember);
    welcomed(office.renew(&chain(), NODE, NOW));
}

#[test]
fn nobody_renews_with_the_chain_of_another() {
    assert_eq!(refused(Office::new().renew(&chain(), OTHER, NOW)), Reason::NotAMember);
    let mut forged = chain();
    forged.membership = forged.membership.signed(&key(OTHER)).unwrap();
    assert_eq!(refused(Office::new().renew(&forged, NODE, NOW)), Reason::NotAMember);
}

#[test]
fn a_revoked_member_and_a_strangers_revoked_issuer_are_refused() {
    let mut office = Office::new();
    office.revoked = [public(NODE)].into();
    assert_eq!(refused(office.renew(&chain(), NODE, NOW)), Reason::Revoked);

    // The node was let in by an issuer that was revoked since; another issuer renews it where it is known.
    let mut chain = chain();
    chain.issuer.subject = public(OTHER);
    chain.issuer = chain.issuer.signed(&key(ROOT)).unwrap();
    chain.membership = chain.membership.signed(&key(OTHER)).unwrap();
    office.revoked = [public(OTHER)].into();
    welcomed(office.renew(&chain, NODE, NOW));
    office.members.clear();
    assert_eq!(refused(office.renew(&chain, NODE, NOW)), Reason::NotAMember);
}

#[test]
fn a_name_that_went_to_another_node_is_not_renewed() {
    let mut office = Office::new();
    office.members = [(name("node-1"), public(OTHER))].into();
    assert_eq!(refused(office.renew(&chain(), NODE, NOW)), Reason::NameTaken);
}

#[test]
fn after_a_succession_old_members_renew_with_a_new_issuer() {
    let mut office = Office::new();
    let next = Succession::sign(&office.roots, public(NEW_ROOT), public(RECOVERY), &key(RECOVERY)).unwrap();
    office.roots.apply(&next).unwrap();
    let old = office.renew(&chain(), NODE, NOW).unwrap_err();
    assert!(matches!(old, IssueError::Certificate(Refusal::ReplacedRoot(_))), "{old}");

    office.certificate = office.certificate.signed(&key(NEW_ROOT)).unwrap();
    let welcome = welcomed(office.renew(&chain(), NODE, NOW));
    let (roots, _) = welcome.accept(&roots(), &public(NODE), &name("node-1"), NOW).unwrap();
    assert_eq!(roots, office.roots);
    office.members.clear();
    assert_eq!(refused(office.renew(&chain(), NODE, NOW)), Reason::NotAMember, "a stranger of the old root");
}

#[test]
fn an_issuer_that_nobody_would_believe_hands_out_nothing() {
    let fails = |change: fn(&mut Office), now: Timestamp| {
        let mut office = Office::new();
        change(&mut office);
        office.renew(&chain(), NODE, now).unwrap_err()
    };
    let expired = fails(|_| (), NOW + ISSUER_LIFE + Duration::from_hours(1));
    assert!(matches!(expired, IssueError::Certificate(Refusal::Expired(..))), "{expired}");
    let revoked = fails(|office| office.revoked = [public(ISSUER)].into(), NOW);
    assert!(matches!(revoked, IssueError::Certificate(Refusal::Revoked(..))), "{revoked}");
    let not_ours = fails(|office| office.key = OTHER, NOW);
    assert!(matches!(not_ours, IssueError::NotOurs(_)), "{not_ours}");
    let member = fails(|office| office.certificate = membership().signed(&key(ROOT)).unwrap(), NOW);
    assert!(matches!(member, IssueError::NotOurs(_)), "{member}");
    let many = fails(
        |office| {
            office.operators = (0..=255).map(public).chain([key(7).public_key(), outsider()]).collect();
        },
        NOW,
    );
    assert!(matches!(many, IssueError::TooManyOperators(257)), "{many}");
}

/// A key that is none of the 256 of the tests.
fn outsider() -> PublicKey {
    let mut seed = [0; 32];
    seed[0] = 1;
    crate::SecretKey::from_seed(&seed).unwrap().public_key()
}

#[test]
fn an_issuer_lets_itself_in() {
    let welcome = Office::new().with(|issuer| issuer.for_itself(name("first"), NOW)).unwrap();
    let (_, member) = welcome.accept(&roots(), &public(ISSUER), &name("first"), NOW).unwrap();
    assert_eq!(member.issuer, member.key);
}
