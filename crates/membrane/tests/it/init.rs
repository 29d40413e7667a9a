//! The keeper as process 1, as in a container. Needs root.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use membrane::{Exit, KeeperEvent};

use crate::support::{HARNESS, Nest, await_end, read_pid, watch_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_one_reaps_everything() {
    let nest = Nest::new();
    let namespace = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", HARNESS, "keeper", "--dir"])
        .arg(nest.path("keeper"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut namespace) = namespace else {
        println!("skipped: there is no unshare");
        return;
    };
    let mut ready = String::new();
    BufReader::new(namespace.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    if ready != "ready\n" {
        println!("skipped: no namespace may be made here");
        namespace.wait().unwrap();
        return;
    }
    let (mut client, _) = nest.attach().await;
    assert_eq!(client.keeper.pid(), 1);
    let mut reports = nest.fifo("reports");
    // nobody but process 1 can reap these
    let script = format!(
        "for i in 1 2 3; do (setsid sh -c 'exit 1' &); (true &); done; sleep 0.3
         ps -eo stat= | grep -c Z > {f}; (setsid sleep 1000 &); exit 4",
        f = reports.arg()
    );
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    assert_eq!(reports.line().await, "0");
    assert_eq!(client.exit_of("a").await, Exit::Code(4));
    let keeper = first_child(namespace.id());
    // its pid means nothing out here, so it can't be waited for: the namespace ends with its maker
    namespace.kill().unwrap();
    namespace.wait().unwrap();
    await_end(&keeper);
    assert_eq!(client.event().await, KeeperEvent::Lost);
}

fn first_child(pid: u32) -> OwnedFd {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    watch_end(read_pid(children.split(' ').next().unwrap())).unwrap()
}
