//! What a workload in its skin can do, and what it can't.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use membrane::bpf::Reach;
use membrane::{By, Exit, Layers, Program, Skin, Spawn};

use crate::support::{HARNESS, Nest};

/// Whether this machine can't confine anything: said loudly, for then nothing is tested.
pub fn cannot() -> bool {
    cannot_by(By::Any)
}

#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
fn cannot_by(by: By) -> bool {
    let layers = Layers::find();
    // What is tested beside ports takes namespaces, except where it says so.
    let why = layers.confine(by).and(if by == By::Any { layers.room } else { Ok(()) }).err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

/// All that this machine has at once.
pub fn strictest() -> By {
    if Layers::find().confine(By::Both).is_ok() { By::Both } else { By::Any }
}

/// Where Landlock knows no ports, programs at its group keep it to them, or a network of its own does: to these, and to none
/// of its own.
pub fn by_reach(spawn: &mut Spawn) {
    let layers = Layers::find();
    if layers.exact(By::Any).is_err() || layers.landlock.is_ok_and(|version| version >= 4) {
        return;
    }
    if let Some(skin) = &mut spawn.skin {
        let tcp = skin.connect.iter().flatten().map(|port| (None, *port)).collect();
        skin.reach = Some(Reach { tcp, ..Reach::default() });
        spawn.limits.get_or_insert_default();
    }
}

/// A skin for programs of this machine, with a folder of their own.
pub fn skin(nest: &Nest) -> Skin {
    let there = |path: &&str| PathBuf::from(path).exists();
    let paths = |paths: &[&str]| paths.iter().filter(|path| there(path)).map(PathBuf::from).collect();
    let mut run: Vec<PathBuf> = paths(&["/usr", "/bin", "/lib", "/lib64"]);
    run.push(HARNESS.into());
    std::fs::create_dir_all(nest.path("own")).unwrap();
    Skin {
        run,
        read: paths(&["/etc/ld.so.cache", "/etc/passwd", "/dev/urandom", "/proc"]),
        write: vec!["/dev/null".into()],
        own: vec![nest.path("own")],
        connect: Some(Vec::new()),
        listen: Vec::new(),
        offline: false,
        reach: None,
        host_name: "guest".to_owned(),
        tmp_mb: 16,
        by: By::Any,
    }
}

pub fn confined(nest: &Nest, id: &str, args: &[&str]) -> Spawn {
    let program =
        Program::Opened { file: std::fs::File::open(HARNESS).unwrap().into(), path: HARNESS.into() };
    let spawn = nest.spawn(id, program, args);
    let mut spawn = Spawn { cwd: nest.path("own"), skin: Some(skin(nest)), ..spawn };
    by_reach(&mut spawn);
    spawn
}

/// What came of each attempt.
pub async fn attempts(skin: impl FnOnce(&mut Spawn)) -> BTreeMap<String, String> {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    for (name, mode) in [("secret", 0o666), ("removed", 0o666), ("renamed", 0o666), ("program", 0o777)] {
        let path = outside.path().join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _socket = UnixListener::bind(outside.path().join("socket")).unwrap();
    let name = format!("mesh-skin-{}", outside.path().display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let other = client.keeper.spawn(nest.shell("other", "exec sleep 1000")).await.unwrap().pid.to_string();
    let folder = outside.path().display().to_string();
    let mut spawn = confined(&nest, "a", &["attempt", &folder, &other, &port, &name]);
    skin(&mut spawn);
    client.keeper.spawn(spawn).await.unwrap();
    let exit = client.exit_of("a").await;
    let said = nest.stdout("a");
    assert_eq!(exit, Exit::Code(0), "{said}\n{}", nest.log("a", membrane::LogStream::Stderr));
    assert!(said.ends_with("all were made\n"), "{said}");
    client.end().await;
    let lines = said.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(what, came)| (what.to_owned(), came.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_of_a_skin() {
    if cannot() {
        return;
    }
    let mut reach = false;
    let made = attempts(|spawn| reach = spawn.skin.as_ref().is_some_and(|skin| skin.reach.is_some())).await;
    // Programs at its group let it have the port, and nobody through to it: that is among the attempts of `reach`. So does
    // a network of its own, with any port.
    let network = Layers::find().reach.is_err();
    let vain = |what: &str| {
        reach && (what == "listen on any port" || network && what == "listen on a port of its choice")
    };
    let done: Vec<_> = made.iter().filter(|(what, came)| *came == "done" && !vain(what)).collect();
    assert!(done.is_empty(), "{done:#?} of {made:#?}");
    assert!(made.len() >= 60, "{}", made.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_of_one_without_a_network() {
    if cannot() {
        return;
    }
    let made = attempts(|spawn| spawn.skin.iter_mut().for_each(|skin| skin.offline = true)).await;
    let done: Vec<_> = made.iter().filter(|(_, came)| *came == "done").collect();
    assert!(done.is_empty(), "{done:#?} of {made:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_network_where_none_is_given() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let text = "tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route | wc -l; readlink /proc/self/ns/net; \
                exec 3<>/dev/tcp/127.0.0.1/1";
    let mut spawn = nest.spawn("a", Program::Path("/bin/bash".into()), &["-c", text]);
    spawn.cwd = nest.path("own");
    spawn.skin = Some(Skin { offline: true, ..skin(&nest) });
    client.keeper.spawn(spawn).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(1));
    let (said, cried) = (nest.stdout("a"), nest.log("a", membrane::LogStream::Stderr));
    let [interface, routes, namespace] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!((interface.trim(), routes), ("lo", "0"));
    assert_ne!(namespace, std::fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
    assert!(cried.contains("Function not implemented"), "{cried}");
    let text = "readlink /proc/self/ns/net";
    let mut spawn = nest.spawn("b", Program::Path("/bin/sleep".into()), &["1000"]);
    spawn.cwd = nest.path("own");
    spawn.skin = Some(Skin { offline: true, ..skin(&nest) });
    let pid = client.keeper.spawn(spawn).await.unwrap().pid;
    let args = ["exec", &pid.to_string(), "/bin/sh", "-c", text];
    let command = std::process::Command::new(HARNESS).args(args).output().unwrap();
    let its = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(String::from_utf8(command.stdout).unwrap().trim(), its.to_str().unwrap());
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_where_there_are_no_namespaces() {
    let alone = |spawn: &mut Spawn| spawn.skin.iter_mut().for_each(|skin| skin.by = By::Landlock);
    if let Err(why) = Layers::find().confine(By::Landlock) {
        let nest = Nest::new();
        let (client, _) = nest.attach().await;
        let mut spawn = confined(&nest, "a", &["shout", "1"]);
        alone(&mut spawn);
        let error = client.keeper.spawn(spawn).await.unwrap_err().to_string();
        assert!(error.contains(&why), "{error} doesn't say {why}");
        return client.end().await;
    }
    let made = attempts(alone).await;
    let done: Vec<_> = made.iter().filter(|(_, came)| *came == "done").collect();
    assert!(done.is_empty(), "{done:#?} of {made:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_skin_much_is_done() {
    let made = attempts(|spawn| spawn.skin = None).await;
    let done = made.values().filter(|came| *came == "done").count();
    assert!(done >= 20, "the attempts prove nothing: {made:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_works_in_its_skin() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "echo x > file && cat file && mkdir d && mv file d/ && ls d && (sleep 0 & wait) && kill -0 $$ && \
         exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"
    );
    let mut spawn = nest.spawn("a", Program::Path("/bin/bash".into()), &["-c", &script]);
    spawn.cwd = nest.path("own");
    spawn.skin = Some(Skin { connect: Some(vec![port]), ..skin(&nest) });
    by_reach(&mut spawn);
    client.keeper.spawn(spawn).await.unwrap();
    let exit = client.exit_of("a").await;
    assert_eq!((exit, nest.stdout("a").as_str()), (Exit::Code(0), "x\nfile\nconnected\n"));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skin_that_names_nothing_is_refused_and_nothing_runs() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let mut spawn = confined(&nest, "a", &["shout", "1"]);
    spawn.skin = Some(Skin { read: vec!["/no/such/place".into()], ..skin(&nest) });
    by_reach(&mut spawn);
    let error = client.keeper.spawn(spawn).await.unwrap_err().to_string();
    assert!(error.contains("/no/such/place"), "{error}");
    client.end().await;
}
