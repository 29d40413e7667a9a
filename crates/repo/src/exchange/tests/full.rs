//! A full disk is told as such, and nothing half is left.

use std::process::Command;

use crate::temp::Kind;
use crate::tests::child::{Task, shell};

/// Runs the child that fetches 12 MiB in a file system of its own, which goes with it; returns what it said, and what is
/// left in the folder. `None` where that isn't allowed.
fn fetch_into(options: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"mount -t tmpfs -o {options} none "$REPO_TEST_DIR" && "$0" "$@"; echo "left: $(ls -A "$REPO_TEST_DIR" | tr '\n' ' ')""#
    );
    let inner = shell(&script, dir.path(), Kind::Nameless, Task::Fetch);
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().ok()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said.contains("failed to") || said.contains("stored")).then_some(said)
}

#[test]
fn a_full_disk_is_a_clear_error_before_anything_is_fetched() {
    let Some(said) = fetch_into("size=9m") else {
        eprintln!("SKIPPED: this needs the right to mount a tmpfs");
        return;
    };
    assert!(
        said.contains("failed to store a spore in ") && said.contains("the disk is full after 0 bytes"),
        "{said}"
    );
    assert!(said.contains("left: \n") || said.contains("left: .lock \n"), "{said}");
}

/// The room is there when the fetch begins and the journal finds none later: no inode is left for it.
#[test]
fn no_room_for_the_journal_is_a_clear_error() {
    // the folder and the partial file take two inodes
    let Some(said) = fetch_into("size=64m,nr_inodes=2") else {
        eprintln!("SKIPPED: this needs the right to mount a tmpfs");
        return;
    };
    assert!(said.contains("failed to store a spore in ") && said.contains("the disk is full"), "{said}");
    assert!(said.contains("left: \n") || said.contains("left: .lock \n"), "{said}");
}
