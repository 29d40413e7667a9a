//! The fuzz corpora of admission, replayed: each file with what must come of it, and how they were made.
//!
//! The papers in them were signed once and are kept, so that a later version is tested against what this one
//! wrote.

use std::collections::BTreeSet;
use std::fs;

use super::{sealed_ticket, ticket_book, ticket_book_of};
use crate::testing::*;
use crate::{
    Answer, Certificate, Chain, Entry, MEMBERSHIP_LIFE, Reason, Redeemed, Request, Role, Roots, Succession,
    Ticket, TicketError, Welcome,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");

fn read(target: &str, file: &str) -> Vec<u8> {
    fs::read(format!("{FOLDER}/{target}/{file}")).unwrap()
}

fn corpus(target: &str) -> impl Iterator<Item = Vec<u8>> {
    fs::read_dir(format!("{FOLDER}/{target}")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap())
}

#[test]
fn certificates_have_one_form() {
    for bytes in corpus("certificate") {
        assert!(Certificate::decode(&bytes).map_or(true, |read| read.encode() == bytes));
        assert!(Succession::decode(&bytes).map_or(true, |read| read.encode() == bytes));
        assert!(Chain::decode(&bytes).map_or(true, |read| read.encode() == bytes));
        let text = String::from_utf8_lossy(&bytes);
        assert!(Chain::from_pem(&text).map_or(true, |read| read.to_pem() == text));
        assert!(Roots::from_pem(&text).map_or(true, |read| read.to_pem() == text));
    }
}

#[test]
fn what_version_1_wrote_is_believed() {
    for file in ["chain", "chain-with-extensions"] {
        let chain = Chain::decode(&read("certificate", file)).unwrap();
        assert_eq!(chain.verify(&roots(), NOW).unwrap().name, name("node-1"), "{file}");
    }
    let pem = String::from_utf8(read("certificate", "chain.pem")).unwrap();
    assert_eq!(Chain::from_pem(&pem).unwrap().encode(), read("certificate", "chain"));
    assert_eq!(Certificate::decode(&read("certificate", "issuer")).unwrap().role, Role::Issuer);
    let later = Certificate::decode(&read("certificate", "membership-critical")).unwrap_err();
    assert_eq!(later, crate::FormError::Extension(128));
    let mut roots = roots();
    assert_eq!(roots.apply(&Succession::decode(&read("certificate", "succession")).unwrap()), Ok(true));
    assert_eq!(roots.to_pem().as_bytes(), read("certificate", "roots.pem"));
}

#[test]
fn tickets_are_what_their_names_say() {
    for bytes in corpus("ticket") {
        let _ = sealed_ticket(&bytes);
        let _ = Ticket::parse(&String::from_utf8_lossy(&bytes));
    }
    let parsed = |file| Ticket::parse(&String::from_utf8(read("ticket", file)).unwrap());
    let ticket = parsed("ticket").unwrap();
    assert_eq!((ticket.genesis(), ticket.addresses().len()), (&genesis(), 2));
    assert_eq!(ticket.to_text().as_bytes(), read("ticket", "ticket"));
    assert_eq!(*sealed_ticket(&read("ticket", "content")).unwrap().to_text(), *ticket.to_text());
    assert!(matches!(parsed("cut-off").unwrap_err(), TicketError::CutOff { .. }));
    assert_eq!(parsed("altered").unwrap_err(), TicketError::Altered);
}

#[test]
fn messages_and_books_are_what_their_names_say() {
    for bytes in corpus("admission") {
        let request = Request::decode(&bytes);
        assert!(request.map_or(true, |read| Request::decode(&read.encode()) == Ok(read)));
        let answer = Answer::decode(&bytes);
        assert!(answer.map_or(true, |read| Answer::decode(&read.encode()) == Ok(read)));
        assert!(
            ticket_book(&bytes).map_or(true, |read| ticket_book(&ticket_book_of(&read)).unwrap() == read)
        );
    }
    let Request::Join(join) = Request::decode(&read("admission", "join")).unwrap() else { panic!() };
    assert!(join.is_proven(&genesis(), &public(ISSUER), &public(NODE)));
    assert!(matches!(Request::decode(&read("admission", "renew")).unwrap(), Request::Renew(_)));
    let Answer::Welcome(welcome) = Answer::decode(&read("admission", "welcome")).unwrap() else { panic!() };
    welcome.accept(&roots(), &public(NODE), &name("node-1"), NOW).unwrap();
    assert_eq!(Answer::decode(&read("admission", "refused")).unwrap(), Answer::Refused(Reason::Used));
    assert_eq!(ticket_book(&read("admission", "tickets.json")).unwrap().len(), 2);
}

#[test]
#[ignore = "writes the corpus anew, after a change of a form"]
fn write_the_corpus() {
    let write = |target: &str, file: &str, bytes: &[u8]| {
        fs::create_dir_all(format!("{FOLDER}/{target}")).unwrap();
        fs::write(format!("{FOLDER}/{target}/{file}"), bytes).unwrap();
    };
    let mut after = roots();
    let next = Succession::sign(&after, public(NEW_ROOT), public(NEW_RECOVERY), &key(RECOVERY));
    after.apply(&next.unwrap()).unwrap();
    let extended = |extensions: &[u8]| {
        let mut certificate = membership();
        certificate.extensions = extensions.to_vec();
        certificate.signed(&key(ISSUER)).unwrap()
    };
    let later = Chain { membership: extended(&IGNORABLE), ..chain() };
    write("certificate", "issuer", &issuer_certificate().encode());
    write("certificate", "membership", &membership().encode());
    write("certificate", "membership-critical", &extended(&CRITICAL).encode());
    write("certificate", "chain", &chain().encode());
    write("certificate", "chain.pem", chain().to_pem().as_bytes());
    write("certificate", "chain-with-extensions", &later.encode());
    write("certificate", "succession", &after.successions()[0].encode());
    write("certificate", "roots.pem", after.to_pem().as_bytes());

    let addresses = ["10.0.0.1:7700", "[2001:db8::1]:7700"].map(|text| text.parse().unwrap()).to_vec();
    let end = NOW + MEMBERSHIP_LIFE;
    let ticket = Ticket::new(genesis(), public(ISSUER), addresses, end, key(OTHER)).unwrap();
    let text = ticket.to_text();
    write("ticket", "ticket", text.as_bytes());
    write("ticket", "cut-off", &text.as_bytes()[..120]);
    write("ticket", "altered", text.replace("AA", "AB").as_bytes());
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &text[5..]).unwrap();
    write("ticket", "content", &bytes[2..bytes.len() - 4]);

    let node = name("node-1");
    let join = Request::Join(ticket.redeem(&public(NODE), node.clone()));
    let operators: BTreeSet<_> = [10, 11].map(super::public).into();
    let mut issuer = chain();
    issuer.issuer = issuer.issuer.signed(&key(NEW_ROOT)).unwrap();
    let successions = after.successions().to_vec();
    let welcome = Welcome { chain: issuer, genesis: genesis(), successions, operators };
    write("admission", "join", &join.encode());
    write("admission", "renew", &Request::Renew(Box::new(chain())).encode());
    write("admission", "welcome", &Answer::Welcome(Box::new(welcome)).encode());
    write("admission", "refused", &Answer::Refused(Reason::Used).encode());
    let redeemed = Redeemed { key: public(NODE), name: node, at: NOW };
    let entries = [
        Entry { ticket: ticket.id(), not_after: end, redeemed: Some(redeemed) },
        Entry { ticket: public(10), not_after: end, redeemed: None },
    ];
    write("admission", "tickets.json", &ticket_book_of(&entries));
}
