//! Commands in a workload's surroundings.

use std::process::{Command, Stdio};

use crate::support::{HARNESS, Nest};

/// The exit status of a command there, run by a process of its own, as `mesh exec` is one: signal
/// dispositions are a whole process'.
fn exec(pid: u32, argv: &[&str]) -> i32 {
    let mut command = Command::new(HARNESS);
    command.args(["exec", &pid.to_string()]).args(argv).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().code().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_has_the_workloads_folder_and_environment() {
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    let mut spawn = nest.shell("a", &format!("echo x > {}; sleep 1000; :", ready.arg()));
    spawn.env.push(("GREETING".to_owned(), "hi there".to_owned()));
    let pid = client.keeper.spawn(spawn).await.unwrap().pid;
    ready.line().await;
    let script = "echo \"$GREETING $MESH_KEEPER_ID $(pwd)\" > seen; exit 12";
    assert_eq!(exec(pid, &["sh", "-c", script]), 12);
    let seen = std::fs::read_to_string(nest.path("seen")).unwrap();
    assert_eq!(
        seen.trim_end(),
        format!("hi there  {}", nest.folder.path().canonicalize().unwrap().display())
    );
    assert_eq!(exec(pid, &["sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(exec(pid, &["no-such-command"]), 101);
    assert_eq!(exec(pid, &[]), 101);
    client.end().await;
    assert_eq!(exec(pid, &["true"]), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_is_the_commands_alone() {
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let pid = client.keeper.spawn(nest.shell("a", "exec sleep 1000")).await.unwrap().pid;
    // the terminal sends it to both: the command may catch it, whoever runs the command survives it
    let script = "trap 'exit 5' INT; kill -INT $PPID; kill -INT $$; exit 1";
    assert_eq!(exec(pid, &["sh", "-c", script]), 5);
    client.end().await;
}
