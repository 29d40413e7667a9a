//! What survives whom: clients that are killed, keepers that are upgraded or killed.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use membrane::{Exit, Keeper, KeeperError, KeeperEvent};

use crate::support::{HARNESS, Nest, await_end, kill_dash_nine, process_exists, watch_end};

const LONG: Duration = Duration::from_secs(600);

/// Prints the numbers from 1, a line each, until it reads something.
fn counter(go: &str) -> String {
    format!("trap 'echo end; exit 4' TERM; i=0; while :; do i=$((i+1)); echo $i; [ -e {go} ] && exit 9; done")
}

/// Checks the numbers and returns how many there are.
fn count(text: &str) -> usize {
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let wrong = numbers.iter().zip(1..).find(|(number, expected)| *number != expected);
    assert_eq!(wrong, None, "a line is missing or torn");
    assert_eq!(text.lines().count(), numbers.len());
    numbers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_client_loses_nothing() {
    let nest = Nest::new();
    let go = nest.path("go");
    let mut owner = Command::new(HARNESS)
        .arg("client")
        .args([nest.path("keeper"), nest.path("logs/orphan")])
        .arg(counter(go.to_str().unwrap()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(owner.stdout.take().unwrap()), &mut port)
        .unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    owner.kill().unwrap();
    owner.wait().unwrap();

    // the listening socket is there: a connection is taken though nobody serves it yet
    let waiting = TcpStream::connect(&address).unwrap();
    let (mut client, processes) = nest.attach().await;
    assert_eq!(processes.len(), 1);
    assert_eq!((processes[0].id.as_str(), processes[0].exit), ("orphan", None));
    assert_eq!(processes[0].note, "of a client that is gone");
    assert!(process_exists(processes[0].pid));
    let mut sockets = client.keeper.sockets("edge").await.unwrap();
    let listener = TcpListener::from(sockets.remove(0));
    assert!(sockets.is_empty() && client.keeper.sockets("other").await.unwrap().is_empty());
    assert_eq!(listener.accept().unwrap().1, waiting.local_addr().unwrap());
    std::fs::write(&go, "").unwrap();
    assert_eq!(client.exit_of("orphan").await, Exit::Code(9));
    assert!(count(&nest.stdout("orphan")) > 0);
    drop(client);

    // an exit nobody took note of is kept for whoever comes
    let (client, processes) = nest.attach().await;
    assert_eq!(processes[0].exit, Some(Exit::Code(9)));
    client.keeper.keep_sockets("edge", Vec::new()).await.unwrap();
    assert!(client.keeper.sockets("edge").await.unwrap().is_empty());
    client.end().await;
    drop(listener);
    assert!(TcpStream::connect(&address).is_err(), "somebody still holds the socket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_hear_the_same() {
    let nest = Nest::new();
    let (mut old, _) = nest.attach().await;
    old.keeper.spawn(nest.shell("a", "exec sleep 1000")).await.unwrap();
    let (mut new, processes) = nest.attach().await;
    assert_eq!(processes.len(), 1);
    assert_eq!(old.keeper.pid(), new.keeper.pid());
    new.keeper.spawn(nest.shell("b", "exec sleep 1000")).await.unwrap();
    old.keeper.stop("b", LONG).await.unwrap();
    assert_eq!((old.exit_of("b").await, new.exit_of("b").await), (Exit::Signal(15), Exit::Signal(15)));
    new.keeper.kill("a").await.unwrap();
    assert_eq!((old.exit_of("a").await, new.exit_of("a").await), (Exit::Signal(9), Exit::Signal(9)));
    old.keeper.shutdown().await.unwrap();
    assert_eq!(new.event().await, KeeperEvent::Lost);
    assert_eq!(new.events.next().await, None);
    assert_eq!(new.keeper.kill("a").await, Err(KeeperError::Lost));
    assert!(!nest.path("keeper/sock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_starters_make_one_keeper() {
    let nest = Nest::new();
    let starters: Vec<_> = (0..8).map(|_| tokio::spawn(Keeper::attach(nest.config()))).collect();
    let mut keepers = Vec::new();
    for starter in starters {
        keepers.push(starter.await.unwrap().unwrap().0);
    }
    assert!(keepers.iter().all(|keeper| keeper.pid() == keepers[0].pid()));
    // who doesn't go through the lock is turned away
    let output = Command::new(HARNESS).args(["keeper", "--dir"]).arg(nest.path("keeper")).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(text.contains(&format!("is alive (pid {})", keepers[0].pid())), "{text}");
    assert!(membrane::reap_strays(&nest.path("keeper")).is_err());
    keepers[0].shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_loses_nothing() {
    let mut nest = Nest::new();
    nest.limits.files = 100;
    let (mut client, _) = nest.attach().await;
    let (mut other, _) = nest.attach().await;
    let go = nest.path("go");
    let mut ready = nest.fifo("ready");
    client.keeper.spawn(nest.shell("flood", &counter(go.to_str().unwrap()))).await.unwrap();
    client.keeper.spawn(nest.shell("done", "echo partial; exit 6")).await.unwrap();
    assert_eq!(client.exit_of("done").await, Exit::Code(6));
    assert_eq!(other.exit_of("done").await, Exit::Code(6));
    let mut end_line = nest.fifo("end-line");
    let script = format!("printf half; echo x > {}; read x < {}; echo ' whole'", ready.arg(), end_line.arg());
    client.keeper.spawn(nest.shell("half", &script)).await.unwrap();
    ready.line().await;
    let stubborn = format!("trap '' TERM; echo x > {}; while :; do sleep 0.01; done", ready.arg());
    client.keeper.spawn(nest.shell("stubborn", &stubborn)).await.unwrap();
    ready.line().await;
    client.keeper.stop("stubborn", Duration::from_millis(1500)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    client.keeper.keep_sockets("edge", vec![listener.as_fd().try_clone_to_owned().unwrap()]).await.unwrap();

    let new = nest.path("newer-mesh");
    std::fs::copy(HARNESS, &new).unwrap();
    let pid = client.keeper.pid();
    for round in 0..3 {
        client.keeper.upgrade(if round == 1 { Path::new(HARNESS) } else { &new }).await.unwrap();
    }
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/exe")).unwrap(), new);

    // both connections are as they were
    end_line.tell("x");
    assert_eq!(client.exit_of("half").await, Exit::Code(0));
    assert_eq!(other.exit_of("half").await, Exit::Code(0));
    assert_eq!(nest.stdout("half"), "half whole\n");
    assert_eq!(client.exit_of("stubborn").await, Exit::Signal(9));
    std::fs::write(&go, "").unwrap();
    assert_eq!(client.exit_of("flood").await, Exit::Code(9));
    count(&nest.stdout("flood"));
    let (third, processes) = nest.attach().await;
    let exits: Vec<_> = processes.iter().map(|p| (p.id.as_str(), p.exit, p.note.is_empty())).collect();
    let code = |code| Some(Exit::Code(code));
    let expected = [
        ("flood", code(9), false),
        ("done", code(6), false),
        ("half", code(0), false),
        ("stubborn", Some(Exit::Signal(9)), false),
    ];
    assert_eq!(exits, expected);
    assert_eq!(third.keeper.pid(), pid);
    let sockets: Vec<OwnedFd> = third.keeper.sockets("edge").await.unwrap();
    let kept = TcpListener::from(sockets.into_iter().next().unwrap());
    assert_eq!(kept.local_addr().unwrap(), listener.local_addr().unwrap());
    // An answer more, so that what was sent with the last one is closed.
    third.keeper.usages("").await.unwrap();
    // no descriptor was lost or doubled on the way
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    // Its folders in the hierarchies of groups are held once each.
    let (groups, rest): (Vec<_>, Vec<_>) = open.iter().partition(|path| path.starts_with("/sys/fs/cgroup"));
    let once: std::collections::BTreeSet<_> = groups.iter().collect();
    assert!(rest.len() < 16 && once.len() == groups.len(), "{open:?} are open");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_keeper_may_take_over() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    client.keeper.spawn(nest.shell("a", "exec sleep 1000")).await.unwrap();
    for program in ["/bin/true", "/no/such/program", "relative", "/bin/cat"] {
        let error = client.keeper.upgrade(Path::new(program)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("upgrade the keeper to {program}: ")), "{error}");
    }
    client.keeper.kill("a").await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_leaves_strays_that_the_next_one_ends() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut started = nest.fifo("started");
    let script = format!(
        "(setsid sh -c 'echo $$ > {f}; sleep 1000; :' &); (env -i /bin/sh -c 'echo $$ > {f}; sleep 1000; :' &); sleep 1000",
        f = started.arg()
    );
    let main = client.keeper.spawn(nest.shell("a", &script)).await.unwrap().pid;
    let mut pids = vec![main];
    for _ in 0..2 {
        pids.push(started.line().await.parse().unwrap());
    }
    let watched: Vec<_> = pids.iter().map(|pid| watch_end(*pid).unwrap()).collect();
    kill_dash_nine(client.keeper.pid());
    assert_eq!(client.event().await, KeeperEvent::Lost);
    assert!(pids.iter().all(|pid| process_exists(*pid)));
    let (next, processes) = nest.attach().await;
    assert_eq!(processes, []);
    watched.iter().for_each(await_end);
    next.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strays_can_be_ended_without_a_keeper() {
    let nest = Nest::new();
    assert_eq!(membrane::reap_strays(&nest.path("keeper")).unwrap(), 0);
    let (client, _) = nest.attach().await;
    let main = client.keeper.spawn(nest.shell("a", "sleep 1000; :")).await.unwrap().pid;
    let watched = watch_end(main).unwrap();
    kill_dash_nine(client.keeper.pid());
    assert!(membrane::reap_strays(&nest.path("keeper")).unwrap() >= 1);
    await_end(&watched);
    assert_eq!(membrane::reap_strays(&nest.path("keeper")).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_without_anything_to_keep_goes() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    client.keeper.spawn(nest.shell("a", "true")).await.unwrap();
    client.exit_of("a").await;
    client.keeper.forget("a").await.unwrap();
    let keeper = watch_end(client.keeper.pid()).unwrap();
    drop(client);
    await_end(&keeper);
    assert!(!nest.path("keeper/sock").exists());
    // and comes again
    let (client, _) = nest.attach().await;
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_it_all_in_peace() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    let script =
        format!("trap 'echo bye; exit 3' TERM; echo x > {}; while :; do sleep 0.01; done", ready.arg());
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    ready.line().await;
    let keeper = watch_end(client.keeper.pid()).unwrap();
    rustix::process::pidfd_send_signal(&keeper, rustix::process::Signal::TERM).unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(3));
    assert_eq!(client.event().await, KeeperEvent::Lost);
    await_end(&keeper);
    assert_eq!(nest.stdout("a"), "bye\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_any_length_will_do() {
    let mut nest = Nest::new();
    nest.keeper = format!("{}/keeper", ["a".repeat(100), "b".repeat(100)].join("/"));
    let (client, _) = nest.attach().await;
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_why_no_keeper_starts() {
    let nest = Nest::new();
    let mut config = nest.config();
    config.program = "/bin/false".into();
    let error = Keeper::attach(config.clone()).await.unwrap_err().to_string();
    assert!(error.ends_with("keeper: it ended without a word"), "{error}");
    config.program = "/no/such/mesh".into();
    let error = Keeper::attach(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("/no/such/mesh: No such file"), "{error}");
    config.dir = "/proc/nowhere".into();
    let error = Keeper::attach(config).await.unwrap_err().to_string();
    assert!(error.starts_with("start a keeper for /proc/nowhere: "), "{error}");
}
