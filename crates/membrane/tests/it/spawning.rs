//! How workloads start.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;

use membrane::{Exit, KeeperError, Limits, LogStream, Program, Spawn};

use crate::support::{Nest, write_file};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_reports_and_forgets() {
    let nest = Nest::new();
    let (mut client, before) = nest.attach().await;
    assert_eq!(before, []);
    let process = client.keeper.spawn(nest.shell("a", "echo hello; echo oops >&2; exit 7")).await.unwrap();
    assert_eq!((process.id.as_str(), process.exit), ("a", None));
    assert_eq!(process.note, r#"{"note":"a"}"#);
    assert_eq!(client.exit_of("a").await, Exit::Code(7));
    assert_eq!(nest.stdout("a"), "hello\n");
    assert_eq!(nest.log("a", LogStream::Stderr), "oops\n");
    let again = client.keeper.spawn(nest.shell("a", "true")).await;
    assert!(matches!(again, Err(KeeperError::Exists { .. })), "{again:?}");
    client.keeper.forget("a").await.unwrap();
    assert!(matches!(client.keeper.forget("a").await, Err(KeeperError::Unknown { .. })));
    client.keeper.spawn(nest.shell("a", "kill -KILL $$")).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Signal(9));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gives_a_workload_clean_surroundings() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut spawn = nest.shell(
        "a",
        "echo $PPID; umask; pwd; ulimit -n; ls -m /proc/$$/fd; readlink /proc/$$/fd/0
         cut -d' ' -f1,5,6 /proc/$$/stat; echo $$
         grep -E '^Sig(Blk|Ign)' /proc/self/status; exec env",
    );
    spawn
        .env
        .extend([("A".to_owned(), "1 2=3".to_owned()), ("MESH_KEEPER_ID".to_owned(), "forged".to_owned())]);
    client.keeper.spawn(spawn).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    let text = nest.stdout("a");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], client.keeper.pid().to_string());
    assert_eq!(lines[1], "0022");
    assert_eq!(Path::new(lines[2]), nest.folder.path().canonicalize().unwrap());
    assert!(lines[3].parse::<u64>().unwrap() <= 65_536);
    assert_eq!(lines[4..6], ["0, 1, 2", "/dev/null"]);
    let pid = lines[7];
    assert_eq!(lines[6], format!("{pid} {pid} {pid}"), "a process group and a session of its own");
    assert_eq!(lines[8..10], ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
    let unique = std::fs::read_to_string(nest.path("keeper/id")).unwrap();
    let mut env: Vec<&str> = lines[10..].iter().copied().filter(|e| !e.starts_with("PWD=")).collect();
    env.sort_unstable();
    let marker = format!("MESH_KEEPER_ID={unique}/a");
    let expected = ["A=1 2=3", &marker, "PATH=/usr/bin:/bin"];
    assert_eq!(
        env.iter().filter(|e| !e.starts_with("_=") && !e.starts_with("OLDPWD")).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_no_core_to_a_file_or_a_handler() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let most = if limit == Some(0) && !rustix::process::geteuid().is_root() { 0 } else { 1 };
    let line = format!("Max core file size {most} {most} bytes\n");
    let text = "echo $(grep '^Max core' /proc/self/limits); kill -SEGV $$";
    client.keeper.spawn(nest.shell("bare", text)).await.unwrap();
    assert_eq!(client.exit_of("bare").await, Exit::Signal(libc::SIGSEGV));
    assert_eq!(nest.stdout("bare"), line);
    if !crate::skin::cannot() {
        client.keeper.spawn(crate::room::script(&nest, "room", text)).await.unwrap();
        assert_eq!(client.exit_of("room").await, Exit::Signal(libc::SIGSEGV));
        assert_eq!(nest.stdout("room"), line);
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_no_more_files_than_it_may() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    // As a program that raises its own limit does: there is no more to be had.
    let text = "ulimit -Sn; ulimit -Hn; ulimit -n 1000 2> /dev/null || echo no more
        for i in 1 2 3 4 5 6 7 8 9; do eval \"exec 1$i< /dev/null\" || exit 3; done";
    let asking = |files, spawn: Spawn| Spawn {
        limits: Some(Limits { open_files: files, ..spawn.limits.unwrap_or_default() }),
        ..spawn
    };
    if !crate::skin::cannot() {
        client.keeper.spawn(asking(16, crate::room::script(&nest, "room", text))).await.unwrap();
        assert_eq!(client.exit_of("room").await, Exit::Code(3));
        assert_eq!(nest.stdout("room"), "16\n16\nno more\n");
    }
    let error = client.keeper.spawn(asking(u32::MAX, nest.shell("greedy", "exit 0"))).await.unwrap_err();
    assert!(error.to_string().contains("asks for 4294967295 open files, and this node can give"), "{error}");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executes_the_very_file_that_was_opened() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let path = nest.path("program");
    std::fs::copy("/bin/echo", &path).unwrap();
    let opened = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    symlink("/bin/false", &path).unwrap();
    client.keeper.spawn(nest.spawn("a", Program::from(opened), &["it", "is me"])).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    assert_eq!(nest.stdout("a"), "it is me\n");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executes_scripts_by_descriptor_and_programs_by_name() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let path = nest.path("script");
    write_file(&path, "#!/bin/sh\necho \"$0 $1\"\n", 0o755);
    client.keeper.spawn(nest.spawn("a", Program::from(File::open(&path).unwrap()), &["x"])).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    assert_eq!(nest.stdout("a"), "/dev/fd/3 x\n");
    client.keeper.spawn(nest.spawn("b", Program::Path("sh".into()), &["-c", "echo found"])).await.unwrap();
    assert_eq!(client.exit_of("b").await, Exit::Code(0));
    assert_eq!(nest.stdout("b"), "found\n");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_why_a_program_can_not_be_run() {
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    write_file(&nest.path("data"), "just text", 0o755);
    write_file(&nest.path("closed"), "#!/bin/sh\n", 0o644);
    write_file(&nest.path("lost"), "#!/no/such/interpreter\n", 0o755);
    write_file(&nest.path("in-the-way"), "", 0o644);
    let by_path = |name: &str| nest.spawn("a", Program::Path(nest.path(name)), &[]);
    let opened = |name: &str| nest.spawn("a", Program::from(File::open(nest.path(name)).unwrap()), &[]);
    let with = |change: fn(&Nest, &mut Spawn)| {
        let mut spawn = nest.shell("a", "true");
        change(&nest, &mut spawn);
        spawn
    };
    let cases = [
        (by_path("missing"), "missing: No such file"),
        (by_path("data"), "data: it is not a program for this machine: "),
        (opened("data"), "data: it is not a program for this machine: "),
        (by_path("closed"), "closed: Permission denied"),
        (opened("closed"), "closed: Permission denied"),
        (by_path("lost"), "lost: the interpreter or dynamic loader it names does not exist: "),
        (opened("lost"), "lost: the interpreter or dynamic loader it names does not exist: "),
        (with(|nest, s| s.cwd = nest.path("nowhere")), "nowhere can't be entered: No such file"),
        (with(|nest, s| s.logs = nest.path("in-the-way")), "in-the-way can't be written: "),
        (
            with(|_, s| s.program = Program::Path("nope".into())),
            "run nope: there is no such program in /usr/bin:/bin",
        ),
        (with(|_, s| s.cwd = "relative".into()), "its folders must be absolute paths"),
        (with(|_, s| s.args.push("a\0b".to_owned())), "a zero byte stands in"),
        (with(|_, s| s.id.clear()), "its id is empty"),
    ];
    for (spawn, expected) in cases {
        let error = client.keeper.spawn(spawn).await.unwrap_err().to_string();
        assert!(error.starts_with("run ") && error.contains(expected), "{error:?} lacks {expected:?}");
    }
    // none of them left anything
    assert_eq!(nest.attach().await.1, []);
    client.end().await;
}
