//! Apps that follow demand: asleep and woken, met by ten times the load, and asked by their own metric.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, Running, get};

/// How long a test waits for something that should come. It is never waited for in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the status of an app is as it should be.
#[expect(clippy::disallowed_methods, reason = "a state that demand leads to has no event of its own")]
#[track_caller]
fn until(place: &Place, app: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = place.json("status");
        let found = status["apps"].as_array().unwrap().iter().find(|one| one["appName"] == app).cloned();
        let found = found.unwrap_or_default();
        if holds(&found) {
            return found;
        }
        assert!(Instant::now() < end, "{app} is not {what}: {found:#}\nlog:\n{}", place.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn asleep(place: &Place, app: &str) {
    until(place, app, "asleep", |status| status["state"] == "asleep");
}

#[test]
fn an_app_sleeps_when_nobody_asks_and_the_first_requests_wake_it() {
    let place = Place::new();
    let spore = place.billing("v1");
    let mesh = place.start("-nodes 2");
    place.mesh(&format!("deploy {spore} --min 0 --max 2 --idle 1s --settle 1s")).good();
    asleep(&place, "billing");
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| answers.lock().unwrap().push(mesh.get("/billing/hello")));
        }
    });
    let answers = answers.into_inner().unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    asleep(&place, "billing");
    assert!(place.json("ps").as_array().unwrap().is_empty(), "nothing of it is left");
    let why = place.mesh("why billing").good().stdout;
    assert!(why.contains("0 replicas (0 to 2): it sleeps"), "{why}");

    // Stopped is not asleep.
    let before = place.last_event();
    place.mesh("stop billing").good();
    let answer = mesh.get("/billing/hello");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("no replica that is ready"), "{}", answer.body);
    let launches = place.mesh(&format!("events --json --since {before}")).good().stdout;
    assert!(!launches.contains("launch-start"), "a request woke what was stopped: {launches}");
    assert_eq!(place.json("status")["apps"][0]["state"], "stopped");
    place.mesh("scale billing --min 0 --max 2").good();
    assert_eq!(mesh.get("/billing/hello").status, 200);
}

#[test]
fn what_cannot_wake_says_so_in_time() {
    let place = Place::new();
    let check =
        "import os, sys, time\nif os.path.exists(os.environ['BROKEN']):\n    sys.exit('out of coffee')";
    let broken = place.work().join("broken");
    let manifest = serde_json::json!({ "env": { "BROKEN": broken } });
    let spore = script(&place, "clerk", &CLERK.replace("import os, time", check), manifest);
    let mesh = place.start("-nodes 1");
    // It asks for a file of the machine's whether it is to fail.
    let sleepy = "--min 0 --max 2 --idle 1s --settle 1s --timeout 30s --profile unconfined";
    place.mesh(&format!("deploy {spore} {sleepy}")).good();
    asleep(&place, "clerk");
    place.write("broken", "");
    let asked = Instant::now();
    let answer = mesh.get("/clerk/work");
    assert_eq!(answer.status, 503, "{answer:?}");
    let said = &answer.body;
    assert!(said.contains("clerk can't be woken") && said.contains("out of coffee"), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    // Nobody asks any more, so it isn't tried any more; and whoever asks once it is mended is served.
    asleep(&place, "clerk");
    std::fs::remove_file(broken).unwrap();
    assert_eq!(mesh.get("/clerk/work").status, 200);

    // A release is tried when it is deployed, asleep or not: whoever deploys it hears that it doesn't come up.
    place.write("program", "#!/bin/sh\necho out of tea >&2\nexit 3\n");
    let deployed = place.mesh(&format!("deploy {} {sleepy}", place.packed()));
    assert_ne!(deployed.code, 0, "{}", deployed.shown());
    let answer = mesh.get("/billing/hello");
    assert!(answer.status == 503 && answer.body.contains("out of tea"), "{answer:?}");
}

/// One request at a time, 20 ms each.
const CLERK: &str = r##"#!/usr/bin/env python3
import os, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Clerk(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/work":
            time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

class Server(HTTPServer):
    request_queue_size = 4096

Server(("127.0.0.1", int(os.environ["PORT"])), Clerk).serve_forever()
"##;

/// A spore of a script, with this in its manifest.
fn script(place: &Place, name: &str, text: &str, manifest: Value) -> String {
    place.write(name, text);
    let mut whole = serde_json::json!({ "kind": "Spore", "name": name, "version": "v1", "command": name });
    whole.as_object_mut().unwrap().extend(manifest.as_object().unwrap().clone());
    place.write(&format!("{name}.json"), &whole.to_string());
    place.mesh(&format!("build -manifest {name}.json -binary {name}")).good().stdout.trim().to_owned()
}

/// Asks at a rate, whether answers come or not; when each request was due, and how late its answer came.
#[expect(clippy::disallowed_methods, reason = "a load comes at its times")]
fn load(mesh: &Running, path: &str, rate: u32, seconds: u32) -> Vec<(Duration, Duration)> {
    let (answers, began) = (Mutex::new(Vec::new()), Instant::now());
    let clients = 150.min(rate * 2);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (answers, url) = (&answers, &mesh.url);
            scope.spawn(move || {
                for number in (client..rate * seconds).step_by(clients as usize) {
                    let due = Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                    let answer = get(url, path);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answers.lock().unwrap().push((due, began.elapsed().saturating_sub(due)));
                }
            });
        }
    });
    answers.into_inner().unwrap()
}

#[test]
fn ten_times_the_load_is_met_by_more_replicas_which_stay() {
    let place = Place::new();
    let spore = script(&place, "clerk", CLERK, serde_json::json!({ "slo": { "p99_budget_ms": 250 } }));
    let mesh = place.start("-nodes 2");
    place.mesh(&format!("deploy {spore} --min 1 --max 12 --settle 20s")).good();
    load(&mesh, "/clerk/work", 12, 4);
    until(&place, "clerk", "one replica", |status| status["wanted"] == 1);
    let answers = load(&mesh, "/clerk/work", 120, 20);
    let wanted = place.json("status")["apps"][0]["wanted"].as_u64().unwrap();
    assert!((3..=12).contains(&wanted), "120 a second take at least three: {wanted}\n{}", place.log());
    let last = answers.iter().filter(|(due, _)| *due > Duration::from_secs(14));
    let (all, late) =
        last.fold((0, 0), |(all, late), (_, took)| (all + 1, late + u32::from(took.as_millis() > 250)));
    // The machine has other things to do; what waits in a queue that isn't gone is late without exception.
    assert!(late * 2 <= all, "{late} of {all} are late");
    let why = place.mesh("why clerk").good().stdout;
    assert!(why.contains("one replica answers") && why.contains("error budget"), "{why}");
    // What it took leaves after a while, not before.
    until(&place, "clerk", "back at one replica", |status| status["wanted"] == 1 && status["ready"] == 1);
}

/// Tells of a queue that all share.
const CLEANER: &str = r##"#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with open(os.environ["QUEUE"]) as queue:
            text = ("# TYPE jobs_waiting gauge\njobs_waiting{queue=\"dust\"} %s\n" % queue.read().strip()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"##;

#[test]
fn a_worker_follows_the_metric_that_it_exposes() {
    let place = Place::new();
    let queue = place.write("queue", "3");
    let scale = serde_json::json!({ "metric": "jobs_waiting", "target": 10, "aggregate": "max" });
    let manifest = serde_json::json!({ "workload": "worker", "scale": scale, "env": { "QUEUE": queue } });
    let spore = script(&place, "cleaner", CLEANER, manifest);
    let _mesh = place.start("-nodes 2");
    // Its queue is a file of the machine's.
    place.mesh(&format!("deploy {spore} --min 1 --max 6 --settle 2s --profile unconfined")).good();
    place.write("queue", "35");
    until(&place, "cleaner", "four", |status| status["wanted"] == 4 && status["ready"] == 4);
    let why = place.mesh("why cleaner").good().stdout;
    assert!(why.contains("its metric asks for 3.5"), "{why}");
    place.write("queue", "400");
    until(&place, "cleaner", "as many as may be", |status| status["wanted"] == 6 && status["ready"] == 6);
    place.write("queue", "0");
    until(&place, "cleaner", "one", |status| status["wanted"] == 1 && status["ready"] == 1);
    place.write("queue", "lots");
    let end = Instant::now() + PATIENCE;
    while !place.mesh("why cleaner").good().stdout.contains("its metric can't be read here") {
        assert!(Instant::now() < end, "{}", place.mesh("why cleaner").stdout);
    }
    let refused = place.mesh(&format!("deploy {spore} --min 0 --max 6"));
    assert!(refused.stderr.contains("only a service is woken, by a request"), "{}", refused.shown());
}
