//! `top`, `budget show`, and the metrics of what replicas use.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::support::Place;

/// How long a test waits for something that should come. It is never waited for in vain.
const PATIENCE: Duration = Duration::from_secs(60);
/// Takes a CPU, and a child.
const SPIN: &str = "#!/bin/bash\nsleep 1000 &\nwhile :; do :; done\n";

/// Whether this machine counts nothing: said loudly, for then nothing is tested.
#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
fn uncounted() -> bool {
    match membrane::Facts::find().budgets.cpu {
        membrane::Hold::By(_) => false,
        membrane::Hold::Not(why) => {
            println!("SKIPPED: {why}");
            true
        }
    }
}

/// The one line about replicas of `spin`, from the stream of `mesh top --json`, in which `holds`.
fn until(place: &Place, holds: impl Fn(&Value) -> bool) -> Value {
    let mut command = place.command();
    let mut top = command
        .args(["top", "spin", "--json", "--interval", "200ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let end = Instant::now() + PATIENCE;
    let found = lines
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .inspect(|_| assert!(Instant::now() < end, "it doesn't come"))
        .find(holds)
        .unwrap();
    top.kill().unwrap();
    top.wait().unwrap();
    found
}

#[test]
fn what_replicas_use_is_shown_and_what_is_left_of_it() {
    let place = Place::new();
    let mesh = place.start("-nodes 2 --admin 127.0.0.1:0");
    if uncounted() {
        return;
    }
    let nothing = place.mesh("top").good().stdout;
    assert!(nothing.starts_with("nothing runs whose use is counted"), "{nothing}");
    place.write("spin", SPIN);
    place.mesh("deploy spin -workload worker --cpu-milli 100 --memory-mb 64").good();
    let busy = until(&place, |row| row["cpu_milli"].as_u64().is_some_and(|cpu| cpu > 100));
    assert_eq!((&busy["appName"], &busy["baseline_milli"]), (&"spin".into(), &100.into()), "{busy}");
    assert_eq!(busy["memory_limit"], 64 << 20, "{busy}");
    assert!(busy["pids"].as_u64().is_none_or(|pids| pids >= 2), "{busy}");
    assert!(busy["replica"].as_str().unwrap().starts_with("spin-"), "{busy}");

    let by_app = place.mesh("top --by app").good().stdout;
    let line = by_app.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(&line[..2], ["spin", "1"], "{by_app}");
    let by_node = place.mesh("top --by node --once").good().stdout;
    assert!(by_node.contains("node-1") && by_node.contains("node-2"), "{by_node}");

    place.mesh("budget set spin --cpu-milli 500").good();
    let shown = place.mesh("budget show spin").good().stdout;
    assert!(shown.starts_with("spin: replicas uncapped, cpu 500 mCPU"), "{shown}");
    assert!(shown.contains("BASELINE") && shown.contains("100 mCPU") && shown.contains("of 60 s"), "{shown}");
    let stands = &place.json("budget show spin")["sum"];
    assert_eq!((&stands["baseline_milli"], &stands["cap_us"]), (&100.into(), &60_000_000.into()), "{stands}");

    let admin = place.json("status")["admin"].as_str().unwrap().to_owned();
    let text = crate::support::get(admin.strip_suffix("/metrics").unwrap(), "/metrics").body;
    for name in ["replica_cpu_seconds_total", "replica_memory_bytes", "replica_pids", "app_cpu_weight"] {
        let line = text.lines().find(|line| line.starts_with(&format!("mycelium_{name}{{app=\"spin\"")));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name} in {text}");
    }
    place.mesh("top nobody").ended(1);
    place.mesh("top --interval 1ms").ended(2);
    drop(mesh);
}

#[test]
fn a_terminal_is_as_it_was_after_ctrl_c() {
    let place = Place::new();
    let mesh = place.start("");
    if uncounted() {
        return;
    }
    let (mut screen, ours) = terminal();
    let command = place.command();
    // A session of its own, whose terminal this is.
    let mut top = Command::new("setsid");
    top.arg("--ctty").arg(command.get_program()).args(command.get_args()).arg("top");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => top.env(name, value),
            None => top.env_remove(name),
        };
    }
    top.current_dir(command.get_current_dir().unwrap()).env("TERM", "xterm");
    let again = || ours.try_clone().unwrap();
    let mut shown = top.stdin(again()).stdout(again()).stderr(again()).spawn().unwrap();
    drop((top, ours));
    let mut text = String::new();
    while !text.contains("nothing runs") {
        let mut chunk = [0; 1024];
        let read = screen.read(&mut chunk).unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    assert!(text.starts_with("\u{1b}[?1049h"), "{text:?}");
    screen.write_all(b"\x03").unwrap();
    let status = shown.wait().unwrap();
    let mut rest = Vec::new();
    // Where nobody has the other end any more, it is EIO (`pty(7)`).
    let end = screen.read_to_end(&mut rest).unwrap_err();
    assert_eq!(end.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{rest:?}");
    assert!(status.success(), "{status}");
    drop(mesh);
}

/// A terminal: what its user has in hand, and what a program is given of it.
fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let screen = openpt(flags).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let ours =
        rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (screen.into(), ours.into())
}
