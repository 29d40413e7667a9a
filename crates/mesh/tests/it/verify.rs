//! `mesh verify`

use std::io::{Seek as _, SeekFrom, Write as _};

use crate::support::{Place, session};

#[test]
fn a_whole_spore_of_a_trusted_publisher_is_good() {
    let place = Place::new();
    let path = place.packed();
    let ran = place.mesh(&format!("verify {path}")).good();
    let json = place.mesh(&format!("verify {path} -json")).good();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap()["trusted"], true);
    insta::assert_snapshot!(ran.shown());
}

#[test]
fn an_altered_binary_an_unknown_publisher_and_another_digest_are_refused() {
    let place = Place::new();
    let path = place.packed();
    let key =
        serde_json::from_str::<serde_json::Value>(&place.mesh("keys show dev -json").good().stdout).unwrap();
    place.mesh(&format!("trust remove {}", key["fingerprint"].as_str().unwrap())).good();
    let unknown = place.mesh(&format!("verify {path}")).ended(4);
    let any = place.mesh(&format!("verify {path} -any-publisher")).good();
    let other = place.mesh(&format!("verify {path} -any-publisher -digest {}", "0".repeat(64))).ended(4);
    let file = place.work().join(&path);
    let bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(6).position(|w| w == b"exit 0").unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"exit 1").unwrap();
    let altered = place.mesh(&format!("verify {path} -any-publisher")).ended(4);
    insta::assert_snapshot!(session(&[unknown, any, other, altered]));
}
