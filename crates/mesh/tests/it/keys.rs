//! `mesh keys`

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Place, session};

#[test]
fn keys_are_made_once_listed_and_shown_without_their_secret() {
    let place = Place::new();
    insta::assert_snapshot!(session(&[
        place.mesh("keys list").good(),
        place.mesh("keys new release").good(),
        place.mesh("keys new release").ended(1),
        place.mesh("keys new release -if-missing").good(),
        place.mesh("keys list").good(),
        place.mesh("keys list -json").good(),
        place.mesh("keys show release").good(),
        place.mesh("keys show nobody").ended(1),
        place.mesh("keys new ../escape").ended(1),
    ]));
    let file = place.state().join("keys/release.key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    let place = Place::new();
    place.mesh("keys new release").good();
    let file = place.state().join("keys/release.key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(session(&[
        place.mesh("build -manifest billing.json -binary program -key release").ended(1),
        place.mesh("keys list").good(),
    ]));
}
