//! What is common to all commands: help, mistakes, colours, streams.

use std::process::Stdio;

use crate::support::{Place, session};

#[test]
fn help_is_at_hand_and_mistakes_lead_to_it() {
    let place = Place::new();
    insta::assert_snapshot!(session(&[
        place.mesh("-h").good(),
        place.mesh("help exit-codes").good(),
        place.mesh("inspec x").ended(2),
        place.mesh("publish --spre x").ended(2),
    ]));
}

#[test]
fn without_a_mesh_every_client_says_so_with_its_own_code() {
    let place = Place::new();
    let lines =
        ["status", "ps", "logs billing", "events", "why billing", "scale billing 2", "deploy program"];
    let ran: Vec<_> = lines.iter().map(|line| place.mesh(line).ended(3)).collect();
    insta::assert_snapshot!(session(&ran));
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    insta::assert_snapshot!(session(&[
        place.mesh("keys list --state /proc/mesh").ended(1),
        place.mesh("keys list --state program").ended(1),
    ]));
}

#[test]
fn completions_and_manuals_are_generated() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.mesh(&format!("completions {shell}")).good().stdout.contains("publish"));
    }
    assert!(place.mesh("man").good().stdout.contains(".TH"));
    place.mesh("man -out pages").good();
    let page = std::fs::read_to_string(place.work().join("pages/mesh-keys-new.1")).unwrap();
    assert!(page.contains("EXIT STATUS"), "{page}");
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let place = Place::new();
    let escaped = |line: &str| place.mesh(line).stderr.contains('\x1b');
    assert!(!escaped("status"));
    assert!(escaped("status --color always"));
    assert!(!escaped("status --color never"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    let mut child = place.command().args(["completions", "bash"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
