//! `mesh repo`

use crate::support::{Place, session};

#[test]
fn it_lists_what_is_there_readable_or_not() {
    let place = Place::new();
    let empty = place.mesh("repo list").good();
    let path = place.packed();
    place.mesh(&format!("publish {path}")).good();
    let listed = place.mesh("repo list").good();
    let zeros = place.state().join(format!("repo/{}.spore", "0".repeat(64)));
    std::fs::write(zeros, "not a spore").unwrap();
    let both = place.mesh("repo list").good();
    assert!(both.stdout.contains("unreadable: "), "{}", both.shown());
    insta::assert_snapshot!(session(&[empty, listed, place.mesh("repo gc").ended(3)]));
}
