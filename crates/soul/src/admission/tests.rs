use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::wire::MAX_EXTENSIONS;
use crate::{Certificate, Role, SecretKey, Ticket};

fn join() -> Request {
    let addresses = vec!["10.0.0.1:7700".parse().unwrap()];
    let ticket = Ticket::new(genesis(), public(ISSUER), addresses, NOW, key(OTHER)).unwrap();
    Request::Join(ticket.redeem(&public(NODE), name("node-1")))
}

fn succeeded() -> Roots {
    let mut roots = roots();
    let next = Succession::sign(&roots, public(NEW_ROOT), public(RECOVERY), &key(RECOVERY)).unwrap();
    roots.apply(&next).unwrap();
    roots
}

fn welcome() -> Welcome {
    let operators = [10, 11, 12].map(public).into();
    Welcome { chain: chain(), genesis: genesis(), successions: Vec::new(), operators }
}

/// The answer of a mesh whose root was replaced.
fn welcome_after() -> Welcome {
    let mut chain = chain();
    chain.issuer = chain.issuer.signed(&key(NEW_ROOT)).unwrap();
    Welcome { chain, successions: succeeded().successions().to_vec(), ..welcome() }
}

fn reasons() -> impl Iterator<Item = Reason> {
    CODES.iter().map(|(_, reason)| *reason).chain([Reason::Other(0), Reason::Other(10), Reason::Other(255)])
}

#[test]
fn messages_read_back() {
    for request in [join(), Request::Renew(Box::new(chain()))] {
        assert_eq!(Request::decode(&request.encode()).unwrap(), request);
    }
    for welcome in [welcome(), welcome_after(), Welcome { operators: BTreeSet::new(), ..welcome() }] {
        let answer = Answer::Welcome(Box::new(welcome));
        assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
    }
    for reason in reasons() {
        let answer = Answer::Refused(reason);
        assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
    }
}

/// Whether what these bytes say would let `node-1` in, under `key`.
fn lets_in(bytes: &[u8], roots: &Roots) -> bool {
    match Answer::decode(bytes) {
        Ok(Answer::Welcome(welcome)) => welcome.accept(roots, &public(NODE), &name("node-1"), NOW).is_ok(),
        _ => false,
    }
}

#[test]
fn every_altered_byte_of_an_answer_is_refused_but_in_the_issuers_own_word() {
    let welcome = welcome_after();
    let bytes = Answer::Welcome(Box::new(welcome.clone())).encode();
    assert!(lets_in(&bytes, &roots()));
    // The operators are vouched for by the channel alone.
    let operators = bytes.len() - 2 - 32 * welcome.operators.len();
    for altered in alterations(&bytes).filter(|altered| !altered.starts_with(&bytes[..operators])) {
        assert!(!lets_in(&altered, &roots()), "{altered:?}");
    }
    for end in 0..bytes.len() {
        assert!(Answer::decode(&bytes[..end]).is_err(), "{end}");
    }
    assert_eq!(Answer::decode(&[&bytes[..], &[0]].concat()), Err(FormError::Trailing(1)));
}

#[test]
fn every_altered_byte_of_a_request_is_refused() {
    let bytes = join().encode();
    for altered in alterations(&bytes) {
        let proven = match Request::decode(&altered) {
            Ok(Request::Join(join)) => join.is_proven(&genesis(), &public(ISSUER), &public(NODE)),
            _ => false,
        };
        assert!(!proven, "{altered:?}");
    }
}

#[test]
fn other_forms_are_refused() {
    let edit = |bytes: Vec<u8>, at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        bytes
    };
    assert_eq!(Request::decode(&edit(join().encode(), 1, 2)), Err(FormError::Version(2)));
    assert_eq!(Request::decode(&edit(join().encode(), 2, 3)), Err(FormError::Field("kind")));
    let answer = || Answer::Welcome(Box::new(welcome())).encode();
    assert_eq!(Answer::decode(&edit(answer(), 2, 0)), Err(FormError::Field("kind")));
    let successions = 3 + chain().encode().len() + genesis().encode().len();
    assert_eq!(Answer::decode(&edit(answer(), successions, 33)), Err(FormError::Field("successions")));
    assert_eq!(Answer::decode(&edit(answer(), successions + 1, 2)), Err(FormError::Field("operators")));

    // Operators in another order, or twice.
    let start = successions + 3;
    let mut swapped = answer();
    let first = swapped[start..start + 32].to_vec();
    swapped.copy_within(start + 32..start + 64, start);
    assert_eq!(Answer::decode(&swapped), Err(FormError::Field("operators")), "twice");
    swapped[start + 32..start + 64].copy_from_slice(&first);
    assert_eq!(Answer::decode(&swapped), Err(FormError::Field("operators")), "falling");
}

#[test]
fn what_a_later_version_adds_to_a_message_is_passed_over_unless_it_must_be_understood() {
    let with = |mut bytes: Vec<u8>, extensions: &[u8]| {
        bytes.truncate(bytes.len() - 2);
        wire::put_extensions(&mut bytes, extensions);
        bytes
    };
    assert_eq!(Request::decode(&with(join().encode(), &IGNORABLE)).unwrap(), join());
    assert_eq!(Request::decode(&with(join().encode(), &CRITICAL)), Err(FormError::Extension(128)));
    let refused = Answer::Refused(Reason::Used);
    assert_eq!(Answer::decode(&with(refused.encode(), &IGNORABLE)).unwrap(), refused);
    assert_eq!(Answer::decode(&with(refused.encode(), &CRITICAL)), Err(FormError::Extension(128)));
}

#[test]
fn the_longest_messages_are_within_their_bounds() {
    let longest = |mut certificate: Certificate, signer: &SecretKey| {
        certificate.extensions = vec![1, 0, 0];
        let left = u16::try_from(MAX_EXTENSIONS - 3).unwrap().to_be_bytes();
        certificate.extensions[1..].copy_from_slice(&left);
        certificate.extensions.resize(MAX_EXTENSIONS, 0);
        if let Role::Member(name) = &mut certificate.role {
            *name = self::name(&"n".repeat(63));
        }
        certificate.signed(signer).unwrap()
    };
    let chain = Chain {
        membership: longest(membership(), &key(ISSUER)),
        issuer: longest(issuer_certificate(), &key(ROOT)),
    };
    let request = Request::Renew(Box::new(chain.clone())).encode();
    assert!(request.len() + MAX_EXTENSIONS <= MAX_REQUEST, "{}", request.len());
    let mut succession = succeeded().successions()[0].clone();
    succession.extensions = chain.issuer.extensions.clone();
    let operators = (0..=255).map(public).collect::<BTreeSet<_>>();
    assert_eq!(operators.len(), MAX_OPERATORS);
    let welcome =
        Welcome { chain, genesis: genesis(), successions: vec![succession; MAX_SUCCESSIONS], operators };
    let answer = Answer::Welcome(Box::new(welcome));
    assert!(answer.encode().len() + MAX_EXTENSIONS <= MAX_ANSWER, "{}", answer.encode().len());
    assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
}

#[test]
fn a_welcome_is_accepted_by_whom_it_is_for() {
    let (new_roots, member) = welcome_after().accept(&roots(), &public(NODE), &name("node-1"), NOW).unwrap();
    assert_eq!(new_roots, succeeded());
    assert_eq!((member.key, member.issuer), (public(NODE), public(ISSUER)));

    let refused = |welcome: Welcome, roots: &Roots, key, node| {
        welcome.accept(roots, &key, &name(node), NOW).unwrap_err()
    };
    let not_mine = WelcomeError::NotMine { key: public(NODE), name: name("node-1") };
    assert_eq!(refused(welcome(), &roots(), public(OTHER), "node-1"), not_mine);
    assert_eq!(refused(welcome(), &roots(), public(NODE), "node-2"), not_mine);
    let other = Genesis::new(public(OTHER), public(RECOVERY)).unwrap();
    let elsewhere = Welcome { genesis: other, ..welcome() };
    assert_eq!(refused(elsewhere, &roots(), public(NODE), "node-1"), WelcomeError::Genesis);
    assert_eq!(
        refused(welcome(), &Roots::new(other), public(NODE), "node-1"),
        WelcomeError::Genesis,
        "an issuer of another mesh than the ticket's"
    );
    let mut forged = welcome_after();
    forged.successions[0] = forged.successions[0].clone().signed(&key(OTHER)).unwrap();
    let error = refused(forged, &roots(), public(NODE), "node-1");
    assert_eq!(error, WelcomeError::Succession(SuccessionError::Signer(public(OTHER))));
}

#[test]
fn an_issuer_that_lags_behind_takes_no_succession_back() {
    let refused = welcome().accept(&succeeded(), &public(NODE), &name("node-1"), NOW);
    assert_eq!(refused, Err(WelcomeError::Chain(Refusal::ReplacedRoot(public(ISSUER)))));
}

#[test]
fn each_reason_has_a_code_of_its_own_for_ever() {
    let codes: BTreeSet<_> = reasons().map(Reason::code).collect();
    assert_eq!(codes.len(), reasons().count());
    assert_eq!(Reason::Unknown.code(), 1);
    assert_eq!(Reason::CannotIssue.code(), 9);
}

proptest! {
    #[test]
    fn nothing_makes_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for bytes in [bytes.clone(), [&[0, 1, 1][..], &bytes].concat(), [&[0, 1, 2][..], &bytes].concat()] {
            if let Ok(request) = Request::decode(&bytes) {
                prop_assert_eq!(Request::decode(&request.encode()).unwrap(), request);
            }
            if let Ok(answer) = Answer::decode(&bytes) {
                prop_assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
            }
        }
    }

    #[test]
    fn any_join_reads_back(seed in 0u8.., node in "[a-z0-9]{1,63}", proof: [u8; 32]) {
        let proof = types::Signature::from_bytes([proof, proof].concat().try_into().unwrap());
        let request = Request::Join(JoinRequest { ticket: public(seed), name: name(&node), proof });
        prop_assert_eq!(Request::decode(&request.encode()).unwrap(), request);
    }
}
