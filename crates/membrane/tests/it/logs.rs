//! Logs as the keeper writes them and readers find them.

use std::collections::BTreeMap;
use std::time::Duration;

use membrane::{Exit, Follow, Limits, LogLimits, LogStream, Program, Spawn};

use crate::support::{HARNESS, Nest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_words_are_in_the_log_before_the_exit_is_known() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    // far more than the keeper reads at a time
    let text = "of a dying process\n".repeat(45_000);
    for round in 0..10 {
        let id = format!("a{round}");
        let program = Program::Path(HARNESS.into());
        client.keeper.spawn(nest.spawn(&id, program, &["shout", &text.len().to_string()])).await.unwrap();
        assert_eq!(client.exit_of(&id).await, Exit::Code(0));
        assert!(nest.stdout(&id) == text, "{round}: {} bytes", nest.stdout(&id).len());
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_without_end_costs_no_memory() {
    let mut nest = Nest::new();
    nest.limits = LogLimits { file_bytes: 1 << 20, files: 3, line_bytes: 16 << 10, rate: 1 << 40 };
    let (mut client, _) = nest.attach().await;
    let resident = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", client.keeper.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    client.keeper.spawn(nest.shell("a", "head -c 100000000 /dev/zero | tr '\\0' x")).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    let (client_pid, dir) = (client.keeper.pid(), nest.path("logs/a"));
    let text = std::fs::read_to_string(format!("/proc/{client_pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let after: u64 = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(after < before + 1024, "{before} kB became {after} kB");
    let files: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    assert!(files.len() == 3 && files.iter().all(|size| *size <= 1 << 20), "{files:?}");
    let lines = membrane::tail(&dir, 10).unwrap();
    assert!(lines[..9].iter().all(|line| line.more && line.text.len() == 16 << 10));
    assert!(!lines[9].more);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_as_much_of_a_log_as_its_limits_say() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    for (id, log_bytes, least, most) in
        [("usual", 0, 2_000_000, 10 << 20), ("little", 1 << 20, 800_000, 1 << 20)]
    {
        let program = Program::Path(HARNESS.into());
        let spawn = nest.spawn(id, program, &["shout", "1000000"]);
        let limits = Some(Limits { log_bytes, ..Limits::default() });
        client.keeper.spawn(Spawn { limits, ..spawn }).await.unwrap();
        assert_eq!(client.exit_of(id).await, Exit::Code(0));
        let files = std::fs::read_dir(nest.path("logs").join(id)).unwrap();
        let kept: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!((least..=most).contains(&kept), "{id}: {kept}");
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_across_rotations() {
    let mut nest = Nest::new();
    // every 1000 lines or so; all files together hold all of it
    nest.limits = LogLimits { file_bytes: 40_000, files: 100, line_bytes: 64, ..LogLimits::default() };
    let (mut client, _) = nest.attach().await;
    let mut follow = Follow::new().unwrap();
    let mut go = BTreeMap::from(["a", "b"].map(|id| (id.to_owned(), nest.fifo(&format!("go-{id}")))));
    for id in ["a", "b"] {
        assert_eq!(follow.add(id, &nest.path("logs").join(id), 10).unwrap(), []);
        let script = format!(
            "echo early; read x < {}; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; echo end",
            go[id].arg()
        );
        client.keeper.spawn(nest.shell(id, &script)).await.unwrap();
    }
    let mut late = Follow::new().unwrap();
    let (mut seen, mut ended) = (BTreeMap::<String, Vec<String>>::new(), 0);
    while ended < 2 {
        let lines = tokio::time::timeout(Duration::from_secs(60), follow.next()).await.unwrap().unwrap();
        assert!(!lines.is_empty());
        for (name, line) in lines {
            if line.text == "end" {
                ended += 1;
                continue;
            }
            if line.text == "early" {
                let before = late.add(&name, &nest.path("logs").join(&name), 10).unwrap();
                assert_eq!(before[0].text, "early");
                go.get_mut(&name).unwrap().tell("x");
            }
            seen.entry(name).or_default().push(line.text);
        }
    }
    let expected: Vec<String> =
        ["early".to_owned()].into_iter().chain((1..=20_000).map(|n| n.to_string())).collect();
    for id in ["a", "b"] {
        let wrong = seen[id].iter().zip(&expected).find(|(seen, expected)| seen != expected);
        let kept = membrane::tail(&nest.path("logs").join(id), usize::MAX).unwrap().len();
        assert_eq!((wrong, seen[id].len()), (None, expected.len()), "{id}: {kept} lines are in the files");
    }
    // one that looks only now goes through all the files that were put aside meanwhile
    let mut count = 0;
    while count < 2 * 20_001 {
        count += tokio::time::timeout(Duration::from_secs(60), late.next()).await.unwrap().unwrap().len();
    }
    assert_eq!(count, 2 * 20_001);
    late.remove("a");
    late.remove("b");
    for id in ["a", "b"] {
        let exit = client.event().await;
        assert!(matches!(exit, membrane::KeeperEvent::Exited { exit: Exit::Code(0), .. }), "{id}: {exit:?}");
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_read_at_its_rate_and_all_of_it_and_delays_nobody() {
    let mut nest = Nest::new();
    nest.limits = LogLimits { rate: 1 << 20, ..LogLimits::default() };
    let (mut client, _) = nest.attach().await;
    let mut done = nest.fifo("done");
    // Of newlines, so that the log of it is far longer.
    let script = format!(
        "head -c 300000 /dev/zero | tr '\\0' '\\n'; echo end; echo x > {}; exec sleep 1000",
        done.arg()
    );
    let began = std::time::Instant::now();
    client.keeper.spawn(nest.shell("flood", &script)).await.unwrap();
    let text = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; done";
    client.keeper.spawn(nest.shell("other", text)).await.unwrap();
    assert_eq!(client.exit_of("other").await, Exit::Code(0));
    assert!(nest.stdout("other").ends_with("99\n100\n"));
    done.line().await;
    // 300,000 records of 30 bytes at 1 MiB/s, less the burst, and what stands in the pipe and what was just read at the end
    let took = began.elapsed();
    assert!(took > Duration::from_secs(3), "{took:?}");
    client.keeper.upgrade(HARNESS.as_ref()).await.unwrap();
    client.keeper.kill("flood").await.unwrap();
    assert_eq!(client.exit_of("flood").await, Exit::Signal(9));
    assert_eq!(nest.stdout("flood").lines().count(), 300_001);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_follower_is_woken() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut go = nest.fifo("go");
    client
        .keeper
        .spawn(nest.shell("a", &format!("echo one; read x < {}; echo two", go.arg())))
        .await
        .unwrap();
    let mut follow = Follow::new().unwrap();
    let dir = nest.path("logs/a");
    let mut texts: Vec<String> =
        follow.add("a", &dir, 10).unwrap().into_iter().map(|line| line.text).collect();
    while texts.is_empty() {
        texts.extend(follow.next().await.unwrap().into_iter().map(|(_, line)| line.text));
    }
    assert_eq!(texts, ["one"]);
    let waiting = tokio::spawn(async move { follow.next().await.unwrap() });
    go.tell("x");
    let lines = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    assert_eq!((lines[0].0.as_str(), lines[0].1.text.as_str()), ("a", "two"));
    client.exit_of("a").await;
    client.end().await;
}

/// Needs a disk of its own that can be filled, so it needs root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_no_workload() {
    let nest = Nest::new();
    let disk = nest.path("logs");
    std::fs::create_dir(&disk).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&disk).stderr(std::process::Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        println!("skipped: no file system may be mounted here");
        return;
    }
    let _unmount = Unmount(disk.clone());
    std::fs::write(disk.join("ballast"), vec![0; 150_000]).unwrap();
    let (mut client, _) = nest.attach().await;
    let mut ready = nest.fifo("ready");
    let mut go = nest.fifo("go");
    // far more than the disk and the pipe hold, so that some of it must be dropped before the report
    let script = format!(
        "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo {}; done; echo x > {}; read x < {}; echo after; exit 2",
        "x".repeat(100),
        ready.arg(),
        go.arg()
    );
    client.keeper.spawn(nest.shell("a", &script)).await.unwrap();
    ready.line().await;
    std::fs::remove_file(disk.join("ballast")).unwrap();
    go.tell("x");
    assert_eq!(client.exit_of("a").await, Exit::Code(2));
    let lines = membrane::tail(&disk.join("a"), usize::MAX).unwrap();
    let notes: Vec<_> = lines.iter().filter(|line| line.stream == LogStream::Keeper).collect();
    assert!(
        !notes.is_empty() && notes.iter().all(|note| note.text.contains("No space left on device")),
        "{notes:?}"
    );
    let count = |note: &&membrane::LogLine| note.text.split(' ').next().unwrap().parse::<usize>().unwrap();
    let dropped: usize = notes.iter().map(count).sum();
    let written = lines.iter().filter(|line| line.stream == LogStream::Stdout).count();
    assert_eq!(written + dropped, 5001);
    assert_eq!(lines.last().unwrap().text, "after");
    client.end().await;
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let status = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}
