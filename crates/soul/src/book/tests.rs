use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::MEMBERSHIP_LIFE;
use crate::testing::*;
use crate::{Certificate, FileError, ISSUER_LIFE, Refusal, Roots, Welcome};

const HOUR: Duration = Duration::from_hours(1);

/// A book in a folder of its own, and what its issuer goes by.
struct Desk {
    dir: tempfile::TempDir,
    book: TicketBook,
    certificate: Certificate,
    roots: Roots,
    members: BTreeMap<NodeName, PublicKey>,
    revoked: BTreeSet<PublicKey>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let book = TicketBook::open(dir.path()).unwrap();
        let (members, revoked) = (BTreeMap::new(), BTreeSet::new());
        Self { dir, book, certificate: issuer_certificate(), roots: roots(), members, revoked }
    }

    fn ticket(&self) -> Ticket {
        let addresses = vec!["10.0.0.1:7700".parse().unwrap()];
        self.book.issue(genesis(), public(ISSUER), addresses, NOW, HOUR).unwrap()
    }

    fn ask(&self, request: &JoinRequest, peer: u8, now: Timestamp) -> Result<Answer, IssueError> {
        let issuer = Issuer {
            key: &key(ISSUER),
            certificate: &self.certificate,
            roots: &self.roots,
            members: &self.members,
            revoked: &self.revoked,
            operators: &BTreeSet::new(),
            life: MEMBERSHIP_LIFE,
        };
        self.book.redeem(request, &public(peer), &issuer, now)
    }

    fn redeem(&self, ticket: &Ticket, peer: u8, node: &str, now: Timestamp) -> Result<Welcome, Reason> {
        match self.ask(&ticket.redeem(&public(peer), name(node)), peer, now).unwrap() {
            Answer::Welcome(welcome) => {
                welcome.accept(&self.roots, &public(peer), &name(node), now).unwrap();
                Ok(*welcome)
            }
            Answer::Refused(reason) => Err(reason),
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(FILE)
    }
}

#[test]
fn a_ticket_lets_one_node_in_as_often_as_it_asks() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    assert_eq!(desk.book.list().unwrap()[0].redeemed, None);
    desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
    desk.redeem(&ticket, NODE, "node-1", NOW + HOUR).unwrap();
    assert_eq!(desk.redeem(&ticket, OTHER, "node-2", NOW), Err(Reason::Used));
    assert_eq!(desk.redeem(&ticket, OTHER, "node-1", NOW), Err(Reason::Used));
    assert_eq!(desk.redeem(&ticket, NODE, "node-2", NOW), Err(Reason::OtherName));
    let by = Redeemed { key: public(NODE), name: name("node-1"), at: NOW + HOUR };
    assert_eq!(desk.book.list().unwrap()[0].redeemed, Some(by));
}

#[test]
fn an_expired_ticket_lets_nobody_in() {
    let desk = Desk::new();
    let (used, open) = (desk.ticket(), desk.ticket());
    desk.redeem(&used, NODE, "node-1", NOW + HOUR).unwrap();
    let late = NOW + HOUR + Duration::from_millis(1);
    assert_eq!(desk.redeem(&open, OTHER, "node-2", late), Err(Reason::TicketExpired));
    assert_eq!(desk.redeem(&used, NODE, "node-1", late), Err(Reason::TicketExpired));
    assert_eq!(desk.redeem(&used, OTHER, "node-1", late), Err(Reason::Used));
}

#[test]
fn a_ticket_of_nobodys_book_is_unknown() {
    let (desk, other) = (Desk::new(), Desk::new());
    assert_eq!(desk.redeem(&other.ticket(), NODE, "node-1", NOW), Err(Reason::Unknown));
    let ticket = desk.ticket();
    assert!(desk.book.remove(&ticket.id()).unwrap());
    assert!(!desk.book.remove(&ticket.id()).unwrap());
    assert_eq!(desk.redeem(&ticket, NODE, "node-1", NOW), Err(Reason::Unknown));
}

#[test]
fn a_request_that_was_overheard_is_good_for_nobody_else() {
    let desk = Desk::new();
    let request = desk.ticket().redeem(&public(NODE), name("node-1"));
    let asked = |request: &JoinRequest, peer| desk.ask(request, peer, NOW).unwrap();
    assert_eq!(asked(&request, OTHER), Answer::Refused(Reason::Proof));
    let renamed = JoinRequest { name: name("node-9"), ..request.clone() };
    assert_eq!(asked(&renamed, NODE), Answer::Refused(Reason::Proof));
    assert_eq!(desk.book.list().unwrap()[0].redeemed, None, "nothing of it uses the ticket up");
    assert!(matches!(asked(&request, NODE), Answer::Welcome(_)));
}

#[test]
fn a_revoked_node_is_not_let_in_again() {
    let mut desk = Desk::new();
    let (open, used) = (desk.ticket(), desk.ticket());
    desk.redeem(&used, NODE, "node-1", NOW).unwrap();
    desk.revoked = [public(NODE)].into();
    for ticket in [open, used] {
        assert_eq!(desk.redeem(&ticket, NODE, "node-1", NOW), Err(Reason::Revoked));
    }
}

#[test]
fn a_name_is_taken_by_a_member_or_by_who_was_let_in_a_moment_ago() {
    let mut desk = Desk::new();
    let (first, second) = (desk.ticket(), desk.ticket());
    desk.members = [(name("node-9"), public(10)), (name("node-4"), public(NODE))].into();
    assert_eq!(desk.redeem(&first, NODE, "node-9", NOW), Err(Reason::NameTaken));
    desk.redeem(&first, NODE, "node-1", NOW).unwrap();
    assert_eq!(desk.redeem(&second, OTHER, "node-1", NOW), Err(Reason::NameTaken));
    desk.revoked = [public(NODE)].into();
    desk.redeem(&second, OTHER, "node-1", NOW).unwrap();
    // A node that lost its state but not its key keeps its name.
    desk.redeem(&desk.ticket(), OTHER, "node-1", NOW).unwrap();
}

#[test]
fn a_name_that_was_promised_is_free_again_when_the_membership_is_over() {
    let desk = Desk::new();
    desk.redeem(&desk.ticket(), NODE, "node-1", NOW).unwrap();
    let late = NOW + MEMBERSHIP_LIFE + CLOCK_SKEW;
    let addresses = || vec!["10.0.0.1:7700".parse().unwrap()];
    let ticket = desk.book.issue(genesis(), public(ISSUER), addresses(), late, HOUR).unwrap();
    assert_eq!(desk.redeem(&ticket, OTHER, "node-1", late), Err(Reason::NameTaken));
    desk.redeem(&ticket, OTHER, "node-1", late + Duration::from_millis(1)).unwrap();
}

#[test]
fn an_issuer_that_can_not_sign_uses_up_no_ticket() {
    let mut desk = Desk::new();
    let ticket = desk.ticket();
    desk.certificate = issuer_certificate().signed(&key(OTHER)).unwrap();
    let error = desk.ask(&ticket.redeem(&public(NODE), name("node-1")), NODE, NOW).unwrap_err();
    assert!(matches!(error, IssueError::Certificate(Refusal::Root { .. })), "{error}");
    desk.certificate = issuer_certificate();
    assert!(desk.certificate.not_after == NOW + ISSUER_LIFE);
    desk.redeem(&ticket, OTHER, "node-2", NOW).unwrap();
}

#[test]
fn expired_tickets_leave_the_book_after_a_week() {
    let desk = Desk::new();
    let old = desk.ticket();
    let addresses = || vec!["10.0.0.1:7700".parse().unwrap()];
    let issue = |now| desk.book.issue(genesis(), public(ISSUER), addresses(), now, HOUR).unwrap();
    issue(NOW + HOUR + KEPT);
    assert_eq!(desk.book.list().unwrap().len(), 2);
    assert_eq!(desk.redeem(&old, NODE, "node-1", NOW + HOUR + KEPT), Err(Reason::TicketExpired));
    issue(NOW + HOUR + KEPT + Duration::from_millis(1));
    let left = desk.book.list().unwrap();
    assert!(left.len() == 2 && left.iter().all(|entry| entry.ticket != old.id()));
    assert!(left[0].not_after < left[1].not_after);
}

#[test]
fn what_can_not_be_a_ticket_is_not_made() {
    let desk = Desk::new();
    let issue = |addresses: &[&str], life| {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        desk.book.issue(genesis(), public(ISSUER), addresses, NOW, life)
    };
    for life in [Duration::ZERO, MAX_TICKET_LIFE + Duration::from_secs(1)] {
        assert!(matches!(issue(&["10.0.0.1:7700"], life), Err(BookError::Life)));
    }
    assert!(matches!(issue(&[], HOUR), Err(BookError::Address(_))));
    assert!(desk.book.list().unwrap().is_empty());
    assert!(issue(&["10.0.0.1:7700"], MAX_TICKET_LIFE).is_ok());
}

#[test]
fn a_full_book_takes_no_more_and_still_lets_in() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    let id = |n: usize| {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        types::Signer::public_key(&SecretKey::from_seed(&seed).unwrap())
    };
    let long = name(&"n".repeat(63));
    let mut entries: Entries = (2..=MAX_TICKETS)
        .map(|n| Entry {
            ticket: id(n),
            not_after: NOW + HOUR,
            redeemed: Some(Redeemed { key: id(n), name: long.clone(), at: NOW }),
        })
        .map(|entry| (entry.ticket, entry))
        .collect();
    entries.insert(ticket.id(), desk.book.list().unwrap().remove(0));
    assert_eq!(entries.len(), MAX_TICKETS);
    let bytes = format::encode(entries.values());
    assert!((bytes.len() as u64) < MAX_FILE / 2, "{}", bytes.len());
    fs::write(desk.file(), bytes).unwrap();
    let addresses = vec!["10.0.0.1:7700".parse().unwrap()];
    let more = desk.book.issue(genesis(), public(ISSUER), addresses, NOW, HOUR);
    assert!(matches!(more, Err(BookError::Full)));
    desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
}

#[test]
fn the_book_is_private_and_holds_no_secret() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
    assert_eq!(fs::metadata(desk.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(desk.file()).unwrap();
    assert!(text.contains(&ticket.id().to_string()));
    let seeds = text.split('"').filter_map(|part| part.parse::<PublicKey>().ok());
    let seeds = seeds.filter_map(|key| SecretKey::from_seed(key.as_bytes()));
    assert!(seeds.map(|key| types::Signer::public_key(&key)).all(|key| key != ticket.id()));
}

#[test]
fn a_book_that_is_not_ours_is_an_error_that_names_it_and_is_left_as_it_is() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
    let good = fs::read_to_string(desk.file()).unwrap();
    let entry = good.split_once('[').unwrap().1.rsplit_once(']').unwrap().0;
    let bad = [
        String::new(),
        "{}".to_owned(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"name\"", "\"who\""),
        good.replace(entry, &format!("{entry},{entry}")),
        good.replace("node-1", "Node 1"),
        " ".repeat(1 << 20) + &good,
    ];
    let request = ticket.redeem(&public(NODE), name("node-1"));
    for bad in bad {
        fs::write(desk.file(), &bad).unwrap();
        let error = desk.ask(&request, NODE, NOW).unwrap_err();
        assert!(matches!(&error, IssueError::Book(FileError::Malformed { .. })), "{error}");
        assert!(error.to_string().contains("tickets.json"), "{error}");
        assert!(TicketBook::open(desk.dir.path()).is_err() && desk.book.remove(&ticket.id()).is_err());
        assert_eq!(fs::read_to_string(desk.file()).unwrap(), bad);
    }
    fs::write(desk.file(), good).unwrap();
    fs::set_permissions(desk.file(), Permissions::from_mode(0o620)).unwrap();
    let error = desk.ask(&request, NODE, NOW).unwrap_err();
    assert!(matches!(&error, IssueError::Book(FileError::Writable { mode: 0o620, .. })), "{error}");
}

/// What a crash can leave: the book before or after, and beside it any part of the book after.
#[test]
fn a_torn_write_changes_nothing() {
    let desk = Desk::new();
    let (ticket, bystander) = (desk.ticket(), desk.ticket());
    let before = fs::read(desk.file()).unwrap();
    desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
    let after = fs::read(desk.file()).unwrap();
    for part in (0..after.len()).step_by(7).chain([after.len()]) {
        fs::write(desk.dir.path().join(".new"), &after[..part]).unwrap();
        fs::write(desk.file(), &before).unwrap();
        assert_eq!(desk.book.list().unwrap().len(), 2);
        desk.redeem(&ticket, OTHER, "node-2", NOW).unwrap();
        assert_eq!(desk.redeem(&ticket, NODE, "node-1", NOW), Err(Reason::Used));

        fs::write(desk.dir.path().join(".new"), &after[..part]).unwrap();
        fs::write(desk.file(), &after).unwrap();
        assert_eq!(desk.redeem(&ticket, OTHER, "node-2", NOW), Err(Reason::Used));
        desk.redeem(&ticket, NODE, "node-1", NOW).unwrap();
    }
    desk.redeem(&bystander, OTHER, "node-2", NOW).unwrap();
}

#[test]
fn a_redemption_that_can_not_be_written_is_not_answered() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    // A folder in the way of the new file: it can neither be removed nor overwritten.
    fs::create_dir_all(desk.dir.path().join(".new/x")).unwrap();
    let request = ticket.redeem(&public(NODE), name("node-1"));
    let error = desk.ask(&request, NODE, NOW).unwrap_err();
    assert!(matches!(&error, IssueError::Book(FileError::Io { .. })), "{error}");
    fs::remove_dir_all(desk.dir.path().join(".new")).unwrap();
    desk.redeem(&ticket, OTHER, "node-2", NOW).unwrap();
}

#[test]
fn of_many_nodes_at_once_one_gets_in() {
    let desk = Desk::new();
    let ticket = desk.ticket();
    let ask = &|peer: u8| desk.redeem(&ticket, peer, &format!("node-{peer}"), NOW).is_ok();
    let let_in = std::thread::scope(|scope| {
        let threads: Vec<_> = (10..18).map(|peer| scope.spawn(move || ask(peer))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
    });
    assert_eq!(let_in, 1);
}
