//! An issuer that is killed at any moment: no ticket is lost, and none lets two nodes in.
//!
//! The issuer is this test's own program, started again with [`FOLDER`] set: it redeems the open tickets one after
//! the other, each for a node of its own, and prints each answer as soon as it has it. The killer waits for some of
//! those lines, not for a time; the kill then hits whatever comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use soul::{
    Answer, Certificate, Genesis, ISSUER_LIFE, Issuer, KeyStore, Roots, TICKET_LIFE, Ticket, TicketBook,
};
use types::{NodeName, PublicKey, Signer as _, Timestamp};

const FOLDER: &str = "SOUL_TEST_ISSUER";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TICKETS: usize = 30;

/// Redeems the ticket for the node whose key file is `node`; whether it was let in.
fn redeem(dir: &Path, ticket: &Ticket, node: &str) -> bool {
    let keys = KeyStore::open(dir).unwrap();
    let (root, issuer, node_key) =
        (keys.load("root").unwrap(), keys.load("issuer").unwrap(), keys.load(node).unwrap());
    let roots = Roots::new(*ticket.genesis());
    let mesh = roots.mesh();
    let certificate = Certificate::for_issuer(mesh, issuer.public_key(), &root, NOW, ISSUER_LIFE).unwrap();
    let office = Issuer {
        key: &issuer,
        certificate: &certificate,
        roots: &roots,
        members: &BTreeMap::new(),
        revoked: &BTreeSet::new(),
        operators: &BTreeSet::new(),
        life: soul::MEMBERSHIP_LIFE,
    };
    let key = node_key.public_key();
    let request = ticket.redeem(&key, NodeName::new(node).unwrap());
    let answer = TicketBook::open(dir).unwrap().redeem(&request, &key, &office, NOW).unwrap();
    matches!(answer, Answer::Welcome(_))
}

fn tickets(dir: &Path) -> Vec<Ticket> {
    let text = std::fs::read_to_string(dir.join("tickets.txt")).unwrap();
    text.lines().map(|line| Ticket::parse(line).unwrap()).collect()
}

fn open_tickets(book: &TicketBook) -> BTreeSet<PublicKey> {
    let entries = book.list().unwrap().into_iter();
    entries.filter(|entry| entry.redeemed.is_none()).map(|entry| entry.ticket).collect()
}

#[test]
fn issuer_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let mut out = std::io::stdout();
    let dir = Path::new(&dir);
    let open = open_tickets(&TicketBook::open(dir).unwrap());
    for (n, ticket) in tickets(dir).iter().enumerate().filter(|(_, ticket)| open.contains(&ticket.id())) {
        assert!(redeem(dir, ticket, &format!("node-{n}")));
        writeln!(out, "let in {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn an_issuer_that_is_killed_loses_no_ticket_and_lets_nobody_in_twice() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyStore::open(dir.path()).unwrap();
    let public = |name: &str| keys.ensure(name).unwrap().0.public_key();
    let genesis = Genesis::new(public("root"), public("recovery")).unwrap();
    let book = TicketBook::open(dir.path()).unwrap();
    let address = vec!["192.0.2.1:7700".parse().unwrap()];
    let tickets: Vec<_> = (0..TICKETS)
        .map(|n| {
            public(&format!("node-{n}"));
            book.issue(genesis, public("issuer"), address.clone(), NOW, TICKET_LIFE).unwrap()
        })
        .collect();
    public("thief");
    let texts = tickets.iter().map(|ticket| ticket.to_text().to_string() + "\n").collect::<String>();
    std::fs::write(dir.path().join("tickets.txt"), texts).unwrap();

    let mut let_in = BTreeSet::<usize>::new();
    while open_tickets(&book).len() > 5 {
        let mut issuer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::issuer_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(issuer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said =
            lines.filter_map(|line| line.rsplit_once("let in ").map(|(_, n)| n.parse::<usize>().unwrap()));
        let_in.extend(said.by_ref().take(2));
        issuer.kill().unwrap();
        let_in.extend(said);
        issuer.wait().unwrap();

        let listed = book.list().unwrap();
        assert_eq!(listed.len(), TICKETS, "a ticket was lost");
        for (n, ticket) in tickets.iter().enumerate() {
            let entry = listed.iter().find(|entry| entry.ticket == ticket.id()).unwrap();
            let owner = entry.redeemed.as_ref().map(|by| by.key);
            assert!(owner.is_none() || owner == Some(public(&format!("node-{n}"))));
            assert!(owner.is_some() || !let_in.contains(&n), "{n} was let in, and the book forgot");
        }
    }
    for (n, ticket) in tickets.iter().enumerate() {
        if let_in.contains(&n) {
            assert!(!redeem(dir.path(), ticket, "thief"));
        }
        assert!(redeem(dir.path(), ticket, &format!("node-{n}")), "{n} is not let in");
        assert!(!redeem(dir.path(), ticket, "thief"));
    }
}
