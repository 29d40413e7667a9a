//! `mesh release`

use std::path::Path;
use std::process::Command;

use crate::support::Place;

const FILE: &str = "[app.billing]\nmanifest = \"billing.json\"\nbuild = \"cp program made && echo built\"\nbinary = \"made\"\n";

fn git(dir: &Path, args: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(args)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A committed tree with a VERSION.
fn tree() -> (Place, String) {
    let place = Place::new();
    place.write("mesh.toml", FILE);
    place.write("VERSION", "1.2.3\n");
    place.write(".gitignore", "made\nout\n");
    git(&place.work(), &["init", "-q"]);
    git(&place.work(), &["add", "."]);
    git(&place.work(), &["commit", "-qm", "first"]);
    let sha = git(&place.work(), &["rev-parse", "HEAD"])[..7].to_owned();
    (place, sha)
}

#[test]
fn a_committed_tree_is_released_under_its_immutable_tag() {
    let (place, sha) = tree();
    let ran = place.mesh("release").good();
    insta::assert_snapshot!(ran.shown().replace(&sha, "[COMMIT]"));
    let again = place.mesh("release").good();
    assert_eq!(again.stdout, ran.stdout, "the same tree makes the same spore");
    let json: serde_json::Value = serde_json::from_str(&place.mesh("release -json").good().stdout).unwrap();
    assert_eq!(json[0]["version"], format!("v1.2.3-{sha}"));
}

#[test]
fn an_uncommitted_tree_is_released_with_a_warning_and_says_so_in_its_tag() {
    let (place, sha) = tree();
    place.write("program", "#!/bin/sh\nexit 1\n");
    let ran = place.mesh("release").good();
    insta::assert_snapshot!(ran.shown().replace(&sha, "[COMMIT]"));
}

#[test]
fn without_a_commit_or_with_latest_nothing_is_released() {
    let place = Place::new();
    place.write("mesh.toml", FILE);
    let no_commit = place.mesh("release").ended(1);
    place.write("VERSION", "latest");
    let latest = place.mesh("release").ended(4);
    insta::assert_snapshot!(crate::support::session(&[no_commit, latest]));
}

#[test]
fn a_build_that_fails_shows_its_output() {
    let (place, sha) = tree();
    place.write("mesh.toml", &FILE.replace("cp program made && echo built", "echo this went wrong; exit 7"));
    let ran = place.mesh("release").ended(1);
    insta::assert_snapshot!(ran.shown().replace(&sha, "[COMMIT]"));
}

#[test]
fn a_file_that_makes_no_sense_is_refused_with_the_place() {
    let place = Place::new();
    let missing = place.mesh("release").ended(2);
    place.write(
        "mesh.toml",
        "[app.billing]\nmanifest = \"billing.json\"\nbinary = \"program\"\nreplicas = 2\n",
    );
    let unknown = place.mesh("release").ended(2);
    place.write("mesh.toml", "[app.other]\nmanifest = \"billing.json\"\nbinary = \"program\"\n");
    let other = place.mesh("release").ended(2);
    insta::assert_snapshot!(crate::support::session(&[missing, unknown, other]));
}
