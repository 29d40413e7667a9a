use proptest::prelude::*;
use types::Timestamp;

use super::*;
use crate::testing::*;

fn ticket(addresses: Vec<SocketAddr>) -> Ticket {
    Ticket::new(genesis(), public(ISSUER), addresses, NOW, key(OTHER)).unwrap()
}

fn text() -> String {
    ticket(vec!["10.0.0.1:7700".parse().unwrap(), "[2001:db8::1]:7700".parse().unwrap()])
        .to_text()
        .to_string()
}

/// The bytes under the text of [`text`], between the length and the checksum.
fn content() -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(&text()[PREFIX.len()..]).unwrap();
    bytes[2..bytes.len() - CHECKSUM].to_vec()
}

fn sealed(content: &[u8]) -> Result<Ticket, TicketError> {
    decode(&seal([&[0; 2], content].concat().into()))
}

prop_compose! {
    fn any_address()(v6: bool, port in 1u16.., low in 1u16..) -> SocketAddr {
        let [a, b] = low.to_be_bytes();
        if v6 { ([0x2001, 0xdb8, 0, 0, 0, 0, 1, low], port).into() } else { ([10, 1, a, b], port).into() }
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_back(
        addresses in prop::collection::btree_set(any_address(), 1..=8), end in 0u64..9_000_000_000_000, secret: [u8; 32],
    ) {
        let (addresses, end) = (addresses.into_iter().collect::<Vec<_>>(), Timestamp::from_millis(end));
        let key = SecretKey::from_seed(&secret).unwrap();
        let ticket = Ticket::new(genesis(), public(ISSUER), addresses.clone(), end, key).unwrap();
        let read = Ticket::parse(&ticket.to_text()).unwrap();
        prop_assert_eq!(read.to_text(), ticket.to_text());
        prop_assert_eq!(read.addresses(), addresses);
        prop_assert_eq!((read.genesis(), read.issuer(), read.not_after()), (&genesis(), &public(ISSUER), end));
        prop_assert_eq!(read.id(), ticket.id());
        prop_assert!(read.to_text().len() < 1000);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", base64 in "[A-Za-z0-9_-]{0,200}") {
        for text in [format!("mesh1{text}"), format!("mesh1{base64}"), text] {
            prop_assert!(Ticket::parse(&text).is_err());
        }
    }
}

#[test]
fn a_cut_off_ticket_is_told_from_a_wrong_one() {
    let text = text();
    let want = text.len();
    for have in PREFIX.len() + 4..want {
        assert_eq!(Ticket::parse(&text[..have]).unwrap_err(), TicketError::CutOff { have, want });
    }
    for have in PREFIX.len()..PREFIX.len() + 4 {
        let error = Ticket::parse(&text[..have]).unwrap_err();
        assert!(matches!(error, TicketError::CutOff { .. }), "{have}: {error}");
    }
    assert_eq!(Ticket::parse("mesh").unwrap_err(), TicketError::NotATicket);
    assert_eq!(Ticket::parse(&format!("{text}A")).unwrap_err(), TicketError::TooLong(1));
    assert_eq!(Ticket::parse(&format!("{text}\n")).unwrap_err(), TicketError::TooLong(1));
}

#[test]
fn every_changed_character_is_refused() {
    let text = text();
    for at in 0..text.len() {
        for other in ['A', 'b', '7', '-', '_', '=', ' ', 'é'] {
            let mut changed = text[..at].to_owned();
            changed.push(other);
            changed.push_str(&text[at + 1..]);
            let same = changed == text;
            assert!(same || Ticket::parse(&changed).is_err(), "{at} {other}");
            // The prefix and the length have their own words for it.
            if !same && at >= PREFIX.len() + 3 && other != 'é' {
                assert_eq!(Ticket::parse(&changed).unwrap_err(), TicketError::Altered, "{at} {other}");
            }
        }
    }
}

#[test]
fn what_is_whole_but_not_a_ticket_says_what_is_wrong() {
    let content = content();
    assert!(sealed(&content).is_ok());
    let changed = |at: usize, byte: u8| {
        let mut changed = content.clone();
        changed[at] = byte;
        sealed(&changed).unwrap_err()
    };
    assert_eq!(changed(96, 0), TicketError::Form(FormError::Field("addresses")), "no address");
    assert_eq!(changed(96, 9), TicketError::Form(FormError::Field("addresses")), "nine");
    assert_eq!(changed(97, 5), TicketError::Form(FormError::Field("addresses")), "neither 4 nor 6");
    assert_eq!(sealed(&[]).unwrap_err(), TicketError::Form(FormError::Truncated("root")));
    assert_eq!(
        sealed(&[&content[..], &[0]].concat()).unwrap_err(),
        TicketError::Form(FormError::Trailing(1))
    );
    let same = [&content[..32], &content[..32], &content[64..]].concat();
    assert_eq!(sealed(&same).unwrap_err(), TicketError::Form(FormError::Field("recovery key")));
}

#[test]
fn what_a_later_version_adds_is_passed_over_unless_it_must_be_understood() {
    let content = content();
    let with = |extensions: &[u8]| {
        let mut out = content[..content.len() - 2].to_vec();
        wire::put_extensions(&mut out, extensions);
        sealed(&out)
    };
    assert_eq!(*with(&IGNORABLE).unwrap().to_text(), text());
    assert_eq!(with(&CRITICAL).unwrap_err(), TicketError::Form(FormError::Extension(128)));
}

#[test]
fn the_longest_ticket_is_within_the_bound_and_nothing_longer_is_read() {
    let most: Vec<SocketAddr> = (1..=8).map(|n| ([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 7700).into()).collect();
    let longest = ticket(most).to_text();
    let bytes = URL_SAFE_NO_PAD.decode(&longest[PREFIX.len()..]).unwrap();
    assert_eq!(bytes.len() + MAX_EXTENSIONS, MAX_BYTES);
    assert_eq!(sealed(&vec![0; MAX_BYTES]).unwrap_err(), TicketError::Altered);
}
