//! A full disk and a file size limit are told as such, and leave nothing behind.

use std::process::Output;

use super::child::{Task, shell};
use super::{BOTH, folder, names};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_full_disk_is_a_clear_error() {
    for kind in BOTH {
        let dir = folder();
        // In a mount namespace of its own: the mount goes with the child, however it ends. What is left
        // in the folder is listed by the child's shell, since nobody else can see into that mount.
        let script = r#"mount -t tmpfs -o size=1m none "$REPO_TEST_DIR" && "$0" "$@"; echo "left: $(ls -A "$REPO_TEST_DIR" | tr '\n' ' ')""#;
        let inner = shell(script, dir.path(), kind, Task::PutLarge);
        let mut command = std::process::Command::new("unshare");
        command.arg("--mount").arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let Ok(output) = command.output() else {
            eprintln!("SKIPPED: a_full_disk_is_a_clear_error needs `unshare`");
            return;
        };
        let said = text(&output);
        if !said.contains("failed to") && !said.contains("stored") {
            eprintln!("SKIPPED: a_full_disk_is_a_clear_error needs the right to mount a tmpfs: {said}");
            return;
        }
        assert!(said.contains("failed to store a spore in "), "{said}");
        assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
        assert!(said.contains("the disk is full after ") && said.contains(" bytes are free there"), "{said}");
        assert!(said.contains("left: \n") || said.contains("left: .lock \n"), "{said}");
    }
}

#[test]
fn a_file_size_limit_is_a_clear_error() {
    for kind in BOTH {
        let dir = folder();
        // 512 blocks of 512 bytes (dash) or 1 KiB (bash): less than the 3 MiB either way. The signal that
        // comes with the limit is ignored, so that the write fails and not the process.
        let script = r#"trap '' XFSZ; ulimit -f 512; exec "$0" "$@""#;
        let said = text(&shell(script, dir.path(), kind, Task::PutLarge).output().unwrap());
        assert!(said.contains("failed to store a spore in "), "{said}");
        assert!(said.contains("the file size limit (ulimit -f) is reached"), "{said}");
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    }
}
