//! `mesh version`, `mesh --version`

use crate::support::Place;

#[test]
fn it_names_the_commit_it_was_built_from() {
    let place = Place::new();
    let ran = place.mesh("--version").good();
    let version = ran.stdout.trim().strip_prefix("mesh ").unwrap();
    assert!(matches!(spore::identity(version), spore::Identity::Commit { .. }), "{version}");
    assert_eq!(place.mesh("version").good().stdout, ran.stdout);
    let json: serde_json::Value = serde_json::from_str(&place.mesh("version -json").good().stdout).unwrap();
    assert_eq!(json["version"], version);
    assert_eq!(json["running"], serde_json::Value::Null);
}
