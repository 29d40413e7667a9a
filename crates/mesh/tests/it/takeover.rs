//! A successor that dies in the middle of a hand-over: the mesh before it goes on, and nobody notices.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags};

use crate::support::{Place, get};

/// Far longer than any step of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to see.
fn until<T>(what: &str, place: &Place, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "not in time: {what}\n{}", place.log());
        std::thread::yield_now();
    }
}

/// Starts a successor that comes no further than to the reading of `file`, and returns once it is there. What is
/// returned beside it keeps it there; `file` is again what it was.
fn stuck_at(place: &Place, file: &Path) -> (Child, File) {
    let aside = file.with_extension("aside");
    let there = file.exists();
    if there {
        fs::rename(file, &aside).unwrap();
    }
    rustix::fs::mkfifoat(CWD, file, Mode::RUSR | Mode::WUSR).unwrap();
    let successor = place
        .command()
        .args(["run", "-edge", "127.0.0.1:0", "-nodes", "3", "-takeover", "-detached"])
        .stdout(Stdio::null())
        .stderr(place.append("successor.log"))
        .spawn()
        .unwrap();
    // A pipe can be opened for writing without waiting only once somebody reads from it.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let held = until("the successor reads", place, || {
        OpenOptions::new().write(true).custom_flags(nonblocking).open(file).ok()
    });
    if there {
        fs::rename(&aside, file).unwrap()
    } else {
        fs::remove_file(file).unwrap()
    }
    (successor, held)
}

/// Requests without a pause while `work` runs, each on a connection of its own; none may fail.
fn under_requests(url: &str, work: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let answer = get(url, "/billing/hello");
                        assert_eq!(answer.status, 200, "{answer:?}");
                    }
                })
            })
            .collect();
        // Whatever happens in `work`, the clients have to end.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        worked.unwrap();
    });
}

fn pids(place: &Place) -> Vec<serde_json::Value> {
    place.json("ps").as_array().unwrap().iter().map(|replica| replica["pid"].clone()).collect()
}

#[test]
fn a_successor_killed_midway_leaves_a_mesh_that_goes_on_and_can_be_taken_over() {
    let place = Place::new();
    let mut mesh = place.start("-nodes 2");
    place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
    let (old, url) = (mesh.child.id(), mesh.url.clone());
    under_requests(&url, || {
        // Once with nothing but the lock, once with the records open as well.
        for file in [place.state().join("nodes/node-3.key"), place.state().join("trust.json")] {
            let before = pids(&place);
            let (mut successor, held) = stuck_at(&place, &file);
            let lock = fs::read_to_string(place.state().join("mesh.lock")).unwrap();
            assert_eq!(lock.trim(), successor.id().to_string(), "it has the state");
            for _ in 0..20 {
                assert_eq!(get(&url, "/billing/hello").status, 200);
            }
            let since = place.json("status")["started_at"].clone();
            successor.kill().unwrap();
            successor.wait().unwrap();
            drop(held);
            let status = until("the old mesh begins anew", &place, || {
                let ran = place.mesh("status --json");
                let status: Option<serde_json::Value> = serde_json::from_str(&ran.stdout).ok();
                status.filter(|status| status["started_at"] != since)
            });
            assert_eq!((&status["pid"], &status["edge"]["url"]), (&old.into(), &url.as_str().into()));
            assert_eq!(status["nodes"].as_array().unwrap().len(), 2);
            assert_eq!(pids(&place), before, "no replica was touched");
            let second = place.mesh("run -edge 127.0.0.1:0").ended(1);
            assert!(second.stderr.contains(&format!("process {old}")), "{}", second.shown());
            place.mesh("restart billing").good();
            assert_ne!(pids(&place), before, "plans are obeyed");
        }
        let before = pids(&place);
        place.mesh("upgrade").good();
        assert_eq!(pids(&place), before);
    });
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    assert_ne!(place.json("status")["pid"], old);
    place.mesh("down").good();
    place.nothing_runs();
}

#[test]
fn a_mesh_whose_state_another_took_finishes_what_is_open() {
    let place = Place::new();
    let mut mesh = place.start("");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    let before = pids(&place);
    let (mut successor, held) = stuck_at(&place, &place.state().join("trust.json"));
    let mut open = TcpStream::connect(mesh.url.trim_start_matches("http://")).unwrap();
    open.write_all(b"GET /billing/hello HTTP/1.1\r\nhost: h\r\n").unwrap();
    // Whoever waits for the lock has it before the old mesh could take it back.
    let lock = OpenOptions::new().write(true).open(place.state().join("mesh.lock")).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lock.lock().unwrap());
        until("somebody waits for the lock", &place, || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let inode = format!(":{} ", lock.metadata().unwrap().ino());
            locks.lines().any(|line| line.contains("->") && line.contains(&inode)).then_some(())
        });
        successor.kill().unwrap();
        successor.wait().unwrap();
        waiting.join().unwrap();
    });
    drop(held);
    until("the old mesh sees it", &place, || {
        place.log().contains("another mesh has the state").then_some(())
    });
    drop(lock);
    let next = place.start("");
    assert_eq!((&next.url, pids(&place)), (&mesh.url, before));
    assert_eq!(next.get("/billing/hello").status, 200);
    open.write_all(b"connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(open);
    assert_eq!(mesh.ended(), 0, "{}", place.log());
}
