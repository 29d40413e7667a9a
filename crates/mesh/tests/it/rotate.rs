//! `mesh deploy --rotate signal`: newer secrets and configs for replicas that run on.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::secret::{digest, files, forms, hits, holds};
use crate::support::Place;

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads its files when it starts and at each SIGHUP, and answers with what it read last.
const RELOADER: &str = r#"#!/usr/bin/env python3
import hashlib, os, signal
from http.server import BaseHTTPRequestHandler, HTTPServer

def read():
    def of(path):
        return hashlib.sha256(open("/run/" + path, "rb").read()).hexdigest()[:16]
    return of("secrets/db-password") + " " + of("config/features")

known, times = read(), 0

def again(*_):
    global known, times
    known, times = read(), times + 1

signal.signal(signal.SIGHUP, again)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = "%d %d %s" % (os.getpid(), times, known)
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Each replica: its process, how often it was started again, and what it says it has read.
fn replicas(place: &Place, app: &str) -> Vec<(u64, u64, String)> {
    let all = place.json("ps");
    let of = |replica: &Value| {
        let url = replica["url"].as_str()?;
        let said = crate::support::get(url, "/").body;
        Some((replica["pid"].as_u64()?, replica["restarts"].as_u64()?, said))
    };
    let mut found: Vec<_> =
        all.as_array().unwrap().iter().filter(|r| r["appName"] == app).filter_map(of).collect();
    found.sort();
    found
}

/// Waits until all of them say that they have read this, so often told.
fn read_by_all(place: &Place, (secret, config): (&str, &str), times: u32) -> Vec<(u64, u64)> {
    let (said, end) = (
        format!(" {times} {} {}", digest(secret.as_bytes()), digest(config.as_bytes())),
        Instant::now() + PATIENCE,
    );
    loop {
        let all = replicas(place, "reloader");
        if all.len() == 2 && all.iter().all(|(.., read)| read.ends_with(&said)) {
            return all.into_iter().map(|(pid, restarts, _)| (pid, restarts)).collect();
        }
        assert!(Instant::now() < end, "not {said:?}: {all:?}\n{}", place.log());
    }
}

/// All that a replica finds below `/run`.
fn room(pid: u64) -> Vec<(String, Vec<u8>)> {
    let run = format!("/proc/{pid}/root/run");
    let mut paths = Vec::new();
    files(Path::new(&run), &mut paths);
    let name = |path: &Path| path.strip_prefix(&run).unwrap().display().to_string();
    let mut found: Vec<_> = paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect();
    found.sort();
    found
}

#[test]
fn replicas_that_are_told_by_a_signal_read_what_is_newer_and_run_on() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    let canary = |n: u64| format!("canary{n}-{:024x}", u128::from(std::process::id()) << 60 | 0xcafe_f00d);
    let (first, second, third) = (canary(1), canary(2), canary(3));
    let mut mesh = place.start("-nodes 2 -warmup 100ms");
    place.write("reloader", RELOADER);
    let refused = place.mesh("deploy reloader --rotate signal").ended(2);
    assert!(refused.stderr.contains("neither a secret nor a config"), "{}", refused.stderr);
    let refused = place.mesh("deploy reloader --rotate signal=TERM").ended(2);
    assert!(refused.stderr.contains("none of the signals HUP, USR1 and USR2"), "{}", refused.stderr);
    place.piped("secret set db-password", first.as_bytes()).good();
    place.piped("config set features", b"a=1").good();
    place.mesh("deploy reloader --instances 2 --secret db-password --config features --rotate signal").good();
    let began = read_by_all(&place, (&first, "a=1"), 0);

    let since = place.last_event();
    place.piped("secret set db-password", second.as_bytes()).good();
    assert_eq!(read_by_all(&place, (&second, "a=1"), 1), began, "same processes, never restarted");
    let version = place.json("secret list")[0]["version"].as_u64().unwrap();
    let text = format!("version {version} of the secret db-password, as /run/secrets/db-password");
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 2 {
        let event = place.event(since, "the deliveries", |event| {
            event["message"] == text.as_str() && !told.contains(event["replica"].as_str().unwrap())
        });
        assert_eq!(event["kind"], "secret-delivered");
        told.insert(event["replica"].as_str().unwrap().to_owned());
    }
    for (pid, _) in &began {
        let found = room(*pid);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["config/features", "secrets/db-password"]);
        assert!(!found.iter().any(|(_, content)| holds(content, &forms(&first))), "the old value is left");
    }
    let all = [forms(&first), forms(&second)].concat();
    let found = hits(&place, &all);
    assert!(found.is_empty(), "a canary is in {found:#?}");

    place.piped("config set features", b"a=2").good();
    assert_eq!(read_by_all(&place, (&second, "a=2"), 2), began);
    place.event(since, "the config", |event| {
        event["kind"] == "renewed"
            && event["message"].as_str().unwrap().ends_with("read /run/config/features anew")
    });

    // Whoever takes them over goes on with it; and what they are stays known.
    mesh.signal(rustix::process::Signal::KILL);
    mesh.ended();
    let again = place.start("-nodes 2 -warmup 100ms");
    assert_eq!(read_by_all(&place, (&second, "a=2"), 2), began);
    place.piped("secret set db-password", third.as_bytes()).good();
    assert_eq!(read_by_all(&place, (&third, "a=2"), 3), began);
    let found = hits(&place, &[all, forms(&third)].concat());
    assert!(found.is_empty(), "a canary is in {found:#?}");
    drop(again);
}

#[test]
fn a_replica_that_takes_no_signal_is_replaced() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    let _mesh = place.start("-nodes 1 -warmup 100ms");
    place.write("deaf", &RELOADER.replace("signal.SIGHUP", "signal.SIGUSR1"));
    place.piped("secret set db-password", b"hunter2").good();
    place.piped("config set features", b"a=1").good();
    place.mesh("deploy deaf --secret db-password --config features --rotate signal").good();
    let before = replicas(&place, "deaf");
    let since = place.last_event();
    place.piped("secret set db-password", b"hunter3").good();
    let why = place.event(since, "why not", |event| event["kind"] == "renewed");
    let why = why["message"].as_str().unwrap();
    assert!(why.contains("doesn't handle SIGHUP") && why.contains("so it is replaced"), "{why}");
    place.event(since, "its heir", |event| event["kind"] == "endpoint-register");
    place.event(since, "its end", |event| event["kind"] == "replica-stopped");
    let after = replicas(&place, "deaf");
    assert_eq!(after.len(), 1);
    assert_ne!(after[0].0, before[0].0);
    assert!(after[0].2.contains(&digest(b"hunter3")), "{after:?}");

    // By the signal that it takes it goes on, from the next value on.
    place.mesh("deploy deaf --rotate signal=USR1").good();
    assert_eq!(replicas(&place, "deaf")[0].0, after[0].0, "how values come replaces nothing");
    place.piped("secret set db-password", b"hunter4").good();
    let end = Instant::now() + PATIENCE;
    while !replicas(&place, "deaf").iter().any(|(.., said)| said.contains(&digest(b"hunter4"))) {
        assert!(Instant::now() < end, "{}", place.log());
    }
    assert_eq!(replicas(&place, "deaf")[0].0, after[0].0);
}

#[test]
fn a_replica_is_given_as_many_as_a_plan_may_list_and_all_of_them_anew() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    let _mesh = place.start("-nodes 1 -warmup 100ms");
    place.write("reloader", RELOADER);
    let mut line = "deploy reloader --rotate signal --secret db-password --config features".to_owned();
    for (kind, first) in [("secret", "db-password"), ("config", "features")] {
        place.piped(&format!("{kind} set {first}"), b"1").good();
        for n in 1..32 {
            place.piped(&format!("{kind} set n{n}"), n.to_string().as_bytes()).good();
            write!(line, " --{kind} n{n}").unwrap();
        }
    }
    place.mesh(&line).good();
    let pid = place.json("ps")[0]["pid"].as_u64().unwrap();
    assert_eq!(room(pid).len(), 64);
    place.piped("secret set n31", b"newer").good();
    let end = Instant::now() + PATIENCE;
    while !room(pid).iter().any(|(name, content)| name == "secrets/n31" && content == b"newer") {
        assert!(Instant::now() < end, "not given anew\n{}", place.log());
    }
    place.piped("secret set n32", b"32").good();
    let refused = place.mesh(&format!("{line} --secret n32"));
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("more than 32"), "{}", refused.stderr);
}
