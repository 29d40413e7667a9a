//! `mesh doctor`: what it finds out is a fact about the machine, whoever else finds it out.

use std::process::{Command, Stdio};

use crate::support::Place;

/// So many at a time, and so often.
const MANY: usize = 8;
const ROUNDS: usize = 3;

#[test]
fn those_who_look_at_once_in_process_namespaces_of_their_own_find_the_same() {
    let unshared = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount", "--mount-proc", "sh", "-c", command]);
        unshare
    };
    if !unshared("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: only root can make process namespaces");
        return;
    }
    let place = Place::new();
    // Not process 1, which would be another story: the second, in each of them.
    let line = format!("{} doctor --json & wait $!", env!("CARGO_BIN_EXE_mesh"));
    for _ in 0..ROUNDS {
        let started: Vec<_> = (0..MANY)
            .map(|_| {
                let mut command = unshared(&line);
                command.env("MESH_STATE", place.state()).stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let said = started.into_iter().map(|child| child.wait_with_output().unwrap().stdout);
        let said: std::collections::BTreeSet<String> =
            said.map(|text| String::from_utf8(text).unwrap()).collect();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said.first().unwrap().contains("layers"), "{said:#?}");
    }
}
