//! Any bytes as a request, an answer and a ticket book: what is accepted is written again and read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use soul::fuzzing::{NOW, roots, ticket_book, ticket_book_of};
use soul::{Answer, MAX_ANSWER, MAX_REQUEST, Request, Role};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = Request::decode(data) {
        let bytes = request.encode();
        assert!(bytes.len() <= MAX_REQUEST);
        assert_eq!(Request::decode(&bytes).unwrap(), request);
    }
    if let Ok(answer) = Answer::decode(data) {
        let bytes = answer.encode();
        assert!(bytes.len() <= MAX_ANSWER);
        assert_eq!(Answer::decode(&bytes).unwrap(), answer);
        if let Answer::Welcome(welcome) = answer
            && let Role::Member(name) = &welcome.chain.membership.role
        {
            let _ = welcome.accept(&roots(), &welcome.chain.membership.subject, name, NOW);
        }
    }
    if let Ok(entries) = ticket_book(data) {
        assert_eq!(ticket_book(&ticket_book_of(&entries)).unwrap(), entries);
    }
});
