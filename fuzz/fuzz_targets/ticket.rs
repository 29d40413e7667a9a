//! Any bytes as the text of a ticket, and as its content: what is accepted is written again and read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use soul::Ticket;
use soul::fuzzing::sealed_ticket;

fuzz_target!(|data: &[u8]| {
    let parsed = std::str::from_utf8(data).ok().and_then(|text| Ticket::parse(text).ok());
    for ticket in parsed.into_iter().chain(sealed_ticket(data)) {
        let text = ticket.to_text();
        let again = Ticket::parse(&text).unwrap();
        assert_eq!(again.to_text(), text);
        assert_eq!((again.id(), again.addresses()), (ticket.id(), ticket.addresses()));
    }
});
