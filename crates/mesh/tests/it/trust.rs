//! `mesh trust`

use crate::support::{Place, session};

#[test]
fn publishers_come_and_go() {
    let place = Place::new();
    let key = place.mesh("keys new alice").good().stdout.trim().to_owned();
    place.mesh("build -manifest billing.json -binary program -key alice").good();
    insta::assert_snapshot!(session(&[
        place.mesh("trust list").good(),
        place.mesh(&format!("trust add {key} -comment alice")).good(),
        place.mesh("trust add out/billing-v0.1.0.spore").good(),
        place.mesh("trust add alice").good(),
        place.mesh("trust list").good(),
        place.mesh("trust list -json").good(),
        place.mesh("trust remove alice").good(),
        place.mesh("trust remove alice").ended(1),
        place.mesh("trust add SHA256:abcdef").ended(2),
        place.mesh("trust add whoever").ended(2),
    ]));
}
