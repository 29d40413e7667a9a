//! How workloads end, and everything they started with them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use membrane::Exit;
use rustix::process::{Pid, Signal};

use crate::support::{Nest, await_end, process_exists, read_pid, watch_end};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_lets_it_end_by_itself() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    let script =
        format!("trap 'echo bye; exit 3' TERM; echo x > {}; while :; do sleep 0.01; done", ready.arg());
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    ready.line().await;
    client.keeper.stop("a", LONG).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(3));
    assert_eq!(nest.stdout("a"), "bye\n");
    // what has ended can be stopped as often as one likes
    client.keeper.stop("a", LONG).await.unwrap();
    client.keeper.kill("a").await.unwrap();
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_kills_after_the_grace_and_a_shorter_one_counts() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    let script = format!("trap '' TERM; echo x > {}; while :; do sleep 0.01; done", ready.arg());
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    ready.line().await;
    let begin = Instant::now();
    client.keeper.stop("a", LONG).await.unwrap();
    client.keeper.stop("a", Duration::from_millis(200)).await.unwrap();
    client.keeper.stop("a", LONG).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    assert!(begin.elapsed() >= Duration::from_millis(200) && begin.elapsed() < LONG / 10);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_workload_can_be_stopped() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let process = client.keeper.spawn(nest.shell("a", "exec sleep 1000")).await.unwrap();
    rustix::process::kill_process(Pid::from_raw(process.pid.cast_signed()).unwrap(), Signal::STOP).unwrap();
    client.keeper.stop("a", LONG).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(15));
    client.end().await;
}

/// Daemons of all sorts that a workload may leave behind. Each reports its pid.
fn daemons(fifo: &str) -> [String; 4] {
    let body = format!("trap \"\" TERM HUP; echo $$ > {fifo}; while :; do sleep 1; done");
    [
        // a double fork in the same session
        format!("(sh -c '{body}' &)"),
        // a double fork into a session of its own, streams closed
        format!("(setsid sh -c '{body}' </dev/null >/dev/null 2>&1 &)"),
        // with a scrubbed environment, in the same session
        format!("(env -i /bin/sh -c '{body}' &)"),
        // a whole tree: a session of its own, in it a child with a scrubbed environment
        format!(
            "(setsid sh -c 'env -i /bin/sh -c \"{}\"; :' &)",
            body.replace('"', "\\\"").replace("$$", "\\$\\$")
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_workload_leaves_behind_ends_with_it() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut started = nest.fifo("started");
    let mut go = nest.fifo("go");
    let bystander =
        client.keeper.spawn(nest.shell("bystander", "(setsid sleep 1000 &); sleep 1000")).await.unwrap();
    for (number, daemon) in daemons(started.arg()).iter().enumerate() {
        let id = format!("a{number}");
        let script = format!("{daemon}; read x < {}; exit 5", go.arg());
        client.keeper.spawn(nest.shell(&id, &script)).await.unwrap();
        let pid = read_pid(&started.line().await);
        let daemon = watch_end(pid).unwrap();
        go.tell("x");
        assert_eq!(client.exit_of(&id).await, Exit::Code(5), "{number}");
        // the exit is reported when nothing is left
        assert!(!process_exists(pid), "daemon {number} lives on");
        await_end(&daemon);
    }
    assert!(process_exists(bystander.pid));
    client.end().await;
    assert!(!process_exists(bystander.pid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_ends_what_only_its_parent_knows() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut started = nest.fifo("started");
    let script = format!("env -i setsid /bin/sh -c 'echo $$ > {}; sleep 1000; :' & wait", started.arg());
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    let pid = read_pid(&started.line().await);
    client.keeper.kill("a").await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    assert!(!process_exists(pid));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlives_a_stopped_main_process_gets_the_rest_of_the_grace() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    // the shell dies of the signal at once, its child takes its time
    let child =
        format!("trap 'echo saved; exit 0' TERM; echo x > {}; while :; do sleep 0.01; done", ready.arg());
    client.keeper.spawn(nest.shell("a", &format!("sh -c \"{child}\" & wait"))).await.unwrap();
    ready.line().await;
    client.keeper.stop("a", LONG).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(15));
    assert_eq!(nest.stdout("a"), "saved\n");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_forks_is_ended() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    // each link of the chain forks the next and goes, in a session of its own
    let script = format!(
        "echo 'i=$1; [ $i = 50 ] && echo x > {}; exec 2>/dev/null; setsid sh {link} $((i+1)) & sleep 0.05' > {link}
         sh {link} 1 & sh {link} 1 & sh {link} 1 & wait; sleep 1000",
        ready.arg(),
        link = nest.path("link").display()
    );
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    ready.line().await;
    client.keeper.kill("a").await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    let link = nest.path("link").into_os_string().into_string().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&link), "{:?} lives on", entry.path());
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_the_output_does_not_hold_up_the_exit() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut go = nest.fifo("go");
    let script = format!("echo first; read x < {}; printf 'no newline'; exit 1", go.arg());
    let process = client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    // nobody the keeper could know of
    let path = format!("/proc/{}/fd/1", process.pid);
    let _held: OwnedFd = File::options().write(true).open(path).unwrap().into();
    go.tell("x");
    assert_eq!(client.exit_of("a").await, Exit::Code(1));
    assert_eq!(nest.stdout("a"), "first\nno newline\n");
    client.end().await;
}
