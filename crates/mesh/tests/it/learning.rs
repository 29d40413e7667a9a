//! Replicas that get the size that they turn out to need.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use crate::groups::memory_limit;
use crate::support::Place;

/// How long a test waits for something that should come. It is never waited for in vain.
const PATIENCE: Duration = Duration::from_secs(90);
const MIB: u64 = 1 << 20;

/// Holds so many MiB, and says that it is well; a signal has it hold a GiB more.
const HOLDER: &str = r##"#!/usr/bin/env python3
import os, signal
from http.server import BaseHTTPRequestHandler, HTTPServer

held = [b"x" * (int(os.environ["HOLD"]) << 20)]
signal.signal(signal.SIGUSR1, lambda *_: held.append(b"x" * (1 << 30)))

class Holder(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Holder).serve_forever()
"##;

fn holder(place: &Place, holds: u64, memory_mb: u64) -> String {
    place.write("holder", HOLDER);
    let manifest = serde_json::json!({
        "kind": "Spore", "name": "holder", "version": "v1", "command": "holder", "interpreter": "python3",
        "nutrients": { "cpu_milli": 500, "memory_mb": memory_mb },
        "env": { "HOLD": holds.to_string() },
    });
    place.write("holder.json", &manifest.to_string());
    place.mesh("build -manifest holder.json -binary holder").good().stdout.trim().to_owned()
}

/// Waits until something holds of what `line` answers.
#[expect(clippy::disallowed_methods, reason = "what is learned has no event of its own")]
#[track_caller]
fn until(place: &Place, line: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = place.json(line);
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "not {what}: {answer:#}\nlog:\n{}", place.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether the kernel counts memory here: said loudly, for else nothing is tested.
#[expect(clippy::print_stdout, reason = "what is not tested is to be seen")]
fn counts(place: &Place) -> bool {
    let labels = place.json("doctor")["labels"].clone();
    let counts = labels["mesh.memory"].is_string() && rustix::process::geteuid().is_root();
    if !counts {
        println!("SKIPPED: nobody counts memory here");
    }
    counts
}

#[test]
fn a_replica_gets_as_it_runs_what_it_turns_out_to_need() {
    let place = Place::new();
    if !counts(&place) {
        return;
    }
    let spore = holder(&place, 40, 256);
    let _mesh = place.start("-nodes 1 --learning 6s");
    place.mesh(&format!("deploy {spore} --nutrients auto")).good();
    let first = place.json("ps")[0].clone();
    let pid = first["pid"].as_u64().unwrap();
    assert_eq!(memory_limit(pid), 256 * MIB, "as its manifest says, at first");

    let advice = until(&place, "advise holder", "enough evidence", |it| it["advised"].is_object());
    let advised = advice["advised"]["memory_mb"].as_u64().unwrap();
    let peak = advice["evidence"]["memory_mb"]["max"].as_u64().unwrap();
    assert!((41..90).contains(&peak) && (peak..140).contains(&advised), "{advice:#}");
    assert!(advice["evidence"]["ready_ms"]["p50"].as_u64().unwrap() > 0, "{advice:#}");
    until(&place, "status", "given less", |status| {
        let now = status["apps"][0]["size"]["memory_mb"].as_u64().unwrap();
        now < 140 && memory_limit(pid) == now * MIB
    });
    let after = place.json("ps")[0].clone();
    assert_eq!((&after["pid"], &after["restarts"]), (&first["pid"], &first["restarts"]), "it ran on");
    let why = place.mesh("why holder").good().stdout;
    assert!(why.contains("MiB each, learned on 1 node"), "{why}");
    let said = place.mesh("advise holder").good().stdout;
    assert!(said.contains("MiB each, learned on 1 node") && said.contains("p99"), "{said}");
    for shown in ["ps", "status"] {
        let shown = place.mesh(shown).good().stdout;
        assert!(shown.contains("MiB each, learned on 1 node"), "{shown}");
    }
    let promised = place.json("status")["nodes"][0]["promised"]["memory_mb"].as_u64().unwrap();
    assert!(promised < 140, "what is promised is what it gets: {promised}");

    // By numbers and back, as it runs; and what was learned outlives this process.
    place.mesh("scale holder --nutrients memory=200").good();
    until(&place, "status", "given what was said", |_| memory_limit(pid) == 200 * MIB);
    let said = place.mesh("advise holder").good().stdout;
    assert!(said.contains("mesh scale holder --nutrients auto"), "{said}");
    place.mesh("scale holder --nutrients manifest").good();
    until(&place, "status", "given what its manifest says", |_| memory_limit(pid) == 256 * MIB);
    let refused = place.mesh("scale holder --nutrients much");
    assert!(refused.code != 0 && refused.stderr.contains("is no size"), "{}", refused.shown());
}

#[test]
fn a_replica_that_lacks_memory_gets_more_at_its_next_start() {
    let place = Place::new();
    if !counts(&place) {
        return;
    }
    let spore = holder(&place, 80, 48);
    let mesh = place.start("-nodes 1");
    place.mesh(&format!("deploy {spore} --nutrients auto --timeout 60s")).good();
    assert_eq!(mesh.get("/holder/").status, 200);
    let advice = place.json("advise holder");
    assert_eq!(advice["evidence"]["oom_kills"], 1, "{advice:#}");
    let now = advice["now"]["memory_mb"].as_u64().unwrap();
    assert!((148..=4 * 48).contains(&now), "a hundred more than what it was ended at: {advice:#}");
    let pid = place.json("ps")[0]["pid"].as_u64().unwrap();
    assert_eq!(memory_limit(pid), now * MIB);
}

#[test]
fn a_lack_of_memory_while_mesh_is_down_is_learned_from_too() {
    let place = Place::new();
    if !counts(&place) {
        return;
    }
    let spore = holder(&place, 20, 48);
    let mut mesh = place.start("-nodes 1");
    place.mesh(&format!("deploy {spore} --nutrients auto --timeout 60s")).good();
    let pid =
        place.json("ps")[0]["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).unwrap();
    let replica = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    mesh.signal(Signal::KILL);
    mesh.ended();
    kill_process(pid, Signal::USR1).unwrap();
    let patience = Timespec::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut [PollFd::new(&replica, PollFlags::IN)], Some(&patience)), Ok(1), "it still runs");
    let _again = place.start("-nodes 1");
    let advice = until(&place, "advise holder", "learned from", |it| it["evidence"]["oom_kills"] == 1);
    let now = advice["now"]["memory_mb"].as_u64().unwrap();
    assert!(now >= 148, "a hundred more than what it was ended at: {advice:#}");
}
