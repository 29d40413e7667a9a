//! What a workload finds in its room, and how a room ends.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use membrane::{Bound, By, Exit, Layers, LogStream, Program, Skin, Spawn};

use crate::skin::{by_reach, cannot, skin, strictest};
use crate::support::{Client, Fifo, HARNESS, Nest, kill_dash_nine, process_exists};

pub fn script(nest: &Nest, id: &str, script: &str) -> Spawn {
    let mut spawn = nest.spawn(id, Program::Path("/bin/bash".into()), &["-c", script]);
    let skin = skin(nest);
    spawn.cwd = nest.path("own");
    spawn.skin = Some(Skin { by: strictest(), ..skin });
    by_reach(&mut spawn);
    spawn
}

/// Lets a workload write where the test waits.
fn telling(mut spawn: Spawn, fifo: &Fifo) -> Spawn {
    std::fs::set_permissions(&fifo.path, std::fs::Permissions::from_mode(0o666)).unwrap();
    spawn.skin.iter_mut().for_each(|skin| skin.write.push(fifo.path.clone()));
    spawn
}

/// What a script says in its room.
async fn says(nest: &Nest, client: &mut Client, text: &str) -> Vec<String> {
    client.keeper.spawn(script(nest, "a", text)).await.unwrap();
    let exit = client.exit_of("a").await;
    assert_eq!(exit, Exit::Code(0), "{}", nest.log("a", LogStream::Stderr));
    nest.stdout("a").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_nobody_alone_on_a_machine_of_its_own() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let text = "id -u; id -un; hostname; ls /; ls /tmp; echo /proc/[0-9]*; head -c 1 /proc/kcore | wc -c
        ls /sys /home /root 2> /dev/null; echo x > /tmp/x && echo temporary; stat -c %U:%G . ; tr -d '\\0' < /proc/1/cmdline; echo
        echo x 2> /dev/null > /usr/x || echo fixed; readlink /proc/self/ns/user | grep -c -v \"$USERS\"";
    let mine = std::fs::read_link("/proc/self/ns/user").unwrap();
    let text = format!("USERS='{}'; {text}", mine.display().to_string().replace(['[', ']'], "."));
    let said = says(&nest, &mut client, &text).await;
    let all = said.join(" ");
    assert!(all.starts_with("1000 guest guest "), "{all}");
    assert!(all.ends_with(" /proc/1 /proc/2 0 temporary guest:guest mesh-room fixed 1"), "{all}");
    assert!(!said.iter().any(|line| ["home", "root", "sys"].contains(&line.as_str())), "{all}");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_has_a_user_of_its_own_where_root_gives_it() {
    if cannot() || !rustix::process::geteuid().is_root() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let mut users = std::collections::BTreeSet::new();
    for id in ["a", "b"] {
        let process = client.keeper.spawn(script(&nest, id, "exec sleep 1000")).await.unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap();
        let user: u32 = status.split_once("Uid:\t").unwrap().1.split('\t').next().unwrap().parse().unwrap();
        assert!(user >= 0x7000_0000, "{user}");
        users.insert(user);
    }
    assert_eq!(users.len(), 2);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_by_sigterm_without_a_handler_and_with_its_own_status() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    client.keeper.spawn(script(&nest, "a", "exec sleep 1000")).await.unwrap();
    client.keeper.stop("a", Duration::from_secs(1000)).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(15));
    let mut told = nest.fifo("told");
    let text = format!("trap 'exit 7' TERM; echo r > {}; while :; do sleep 1000 & wait; done", told.arg());
    client.keeper.spawn(telling(script(&nest, "b", &text), &told)).await.unwrap();
    told.line().await;
    client.keeper.stop("b", Duration::from_secs(1000)).await.unwrap();
    assert_eq!(client.exit_of("b").await, Exit::Code(7));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_left_in_it() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    // Daemons in sessions of their own, without the marker, that ignore everything; their parents are gone.
    let mut told = nest.fifo("told");
    let daemon = format!("trap \"\" TERM HUP INT; echo r > {}; sleep 1000; sleep 1000", told.arg());
    let text =
        format!("for i in 1 2 3 4 5; do (setsid env -i /bin/bash -c '{daemon}' &); done; exec sleep 1000");
    let process = client.keeper.spawn(telling(script(&nest, "a", &text), &told)).await.unwrap();
    for _ in 0..5 {
        told.line().await;
    }
    let space = std::fs::read_link(format!("/proc/{}/ns/pid", process.pid)).unwrap();
    client.keeper.kill("a").await.unwrap();
    client.exit_of("a").await;
    let same = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("ns/pid")).is_ok_and(|found| found == space)
    };
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(same).count();
    assert_eq!(left, 0);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_keeper_knows_its_rooms() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let process = client.keeper.spawn(script(&nest, "a", "exec sleep 1000")).await.unwrap();
    client.keeper.upgrade(HARNESS.as_ref()).await.unwrap();
    let space = std::fs::read_link(format!("/proc/{}/ns/pid", process.pid)).unwrap();
    client.keeper.kill("a").await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    let same = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("ns/pid")).is_ok_and(|found| found == space)
    };
    assert_eq!(std::fs::read_dir("/proc").unwrap().flatten().filter(same).count(), 0);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_of_a_killed_keeper_are_closed() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let process = client.keeper.spawn(script(&nest, "a", "exec sleep 1000")).await.unwrap();
    kill_dash_nine(client.keeper.pid());
    drop(client);
    let (client, found) = nest.attach().await;
    assert!(found.is_empty());
    assert!(!process_exists(process.pid));
    client.end().await;
}

fn given(name: &str, text: &str) -> Bound {
    let fd = rustix::fs::memfd_create("given", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&fd, text.as_bytes()).unwrap();
    Bound { name: name.to_owned(), content: fd }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_files_take_the_place_of_those_it_was_given_while_it_runs() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let mut told = nest.fifo("told");
    let says = format!(
        "echo $(cat /run/secrets/a /run/config/b/c) $(cd /run; find . -type f | sort) \
        $(find /run ! -user guest) $(stat -c %a /run/secrets/a) $((echo x > /run/secrets/a) 2> /dev/null || echo fixed) > {}",
        told.arg()
    );
    let text = format!("trap '{says}' HUP; {says}; while :; do sleep 1000 & wait; done");
    let mut spawn = telling(script(&nest, "a", &text), &told);
    spawn.files = vec![given("secrets/a", "one"), given("config/b/c", " two")];
    spawn.note = "first".to_owned();
    let process = client.keeper.spawn(spawn).await.unwrap();
    assert_eq!(told.line().await, "one two ./config/b/c ./secrets/a 400 fixed");
    let newer = |a: &str, c: &str| vec![given("secrets/a", a), given("config/b/c", c)];
    let hup = rustix::process::Signal::HUP.as_raw();
    client.keeper.renew("a", newer("three", " four"), "second".to_owned(), hup).await.unwrap();
    assert_eq!(told.line().await, "three four ./config/b/c ./secrets/a 400 fixed");

    // What can't be done changes nothing: other names, a signal that nobody waits for, an id that nobody has.
    let other = vec![given("secrets/a", "x"), given("others/x", "x")];
    let refused = client.keeper.renew("a", other, "x".to_owned(), hup).await.unwrap_err().to_string();
    assert!(refused.contains("put them in their places"), "{refused}");
    let usr1 = rustix::process::Signal::USR1.as_raw();
    let refused = client.keeper.renew("a", newer("x", "x"), "x".to_owned(), usr1).await.unwrap_err();
    assert!(refused.to_string().contains("doesn't handle SIGUSR1"), "{refused}");
    for name in ["x", "../x", "/x/y", "secrets/../x", "secrets/", "a/b/c/d/e"] {
        let refused =
            client.keeper.renew("a", vec![given(name, "x")], "x".to_owned(), hup).await.unwrap_err();
        assert!(refused.to_string().contains("can't be called"), "{name}: {refused}");
    }
    client.keeper.renew("b", newer("x", "x"), "x".to_owned(), hup).await.unwrap_err();

    // A newer keeper, and a client that comes later, know of it and go on with it.
    client.keeper.upgrade(HARNESS.as_ref()).await.unwrap();
    let (later, found) = nest.attach().await;
    assert_eq!((found[0].pid, found[0].note.as_str()), (process.pid, "second"));
    later.keeper.renew("a", newer("five", " six"), "third".to_owned(), hup).await.unwrap();
    assert_eq!(told.line().await, "five six ./config/b/c ./secrets/a 400 fixed");
    let memory = std::fs::read_to_string(format!("/proc/{}/status", client.keeper.pid())).unwrap();
    assert!(memory.contains("Threads:\t1\n"), "the child that renews shares the keeper's memory: {memory}");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_given_to_it_alone_and_stand_nowhere_else() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let text = "cat /run/secrets/a /run/config/b/c; stat -c '%a %U' /run/secrets/a
        (echo x > /run/secrets/a) 2> /dev/null || echo fixed; (rm -f /run/secrets/a) 2> /dev/null || echo kept";
    let mut spawn = script(&nest, "a", text);
    spawn.files = vec![given("secrets/a", "of one\n"), given("config/b/c", "of two\n")];
    client.keeper.spawn(spawn).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0), "{}", nest.log("a", LogStream::Stderr));
    assert_eq!(nest.stdout("a"), "of one\nof two\n400 guest\nfixed\nkept\n");
    for name in ["", "..", "../etc/x", "/etc/x", "a/../../x", "secrets/a/"] {
        let mut spawn = script(&nest, "b", "exit 0");
        spawn.files = vec![given("secrets/a", "x"), given(name, "x")];
        let refused = client.keeper.spawn(spawn).await.unwrap_err().to_string();
        assert!(refused.contains("called"), "{name}: {refused}");
    }
    let mut spawn = script(&nest, "b", "exit 0");
    spawn.files = vec![given("a", "x")];
    spawn.skin.iter_mut().for_each(|skin| skin.by = By::Landlock);
    let refused = client.keeper.spawn(spawn).await.unwrap_err().to_string();
    let why = Layers::find().confine(By::Landlock).err().unwrap_or_else(|| "takes namespaces".to_owned());
    assert!(refused.contains(&why), "{refused}");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_in_it_as_its_guest() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let process =
        client.keeper.spawn(script(&nest, "a", "echo hello > /tmp/x; exec sleep 1000")).await.unwrap();
    let text = "until [ -s /tmp/x ]; do :; done; cat /tmp/x; id -u; pwd; [ $(ls /proc | grep -c '^[0-9]') -le 6 ] && echo few; grep CapEff /proc/self/status
        trap 'exit 9' INT; kill -INT $$";
    let command = std::process::Command::new(HARNESS)
        .args(["exec", &process.pid.to_string(), "/bin/bash", "-c", text])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&command.stdout).into_owned();
    let own = nest.path("own").display().to_string();
    assert_eq!(said, format!("hello\n1000\n{own}\nfew\nCapEff:\t0000000000000000\n"), "{command:?}");
    assert_eq!(command.status.code(), Some(9));
    client.end().await;
}
