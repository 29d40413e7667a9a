//! `status`, `ps`, `logs`, `events`, `why`

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;

use crate::support::Place;

#[test]
fn everything_says_what_runs() {
    let place = Place::new();
    let mesh = place.start("-nodes 3");
    let empty = place.mesh("status").good();
    assert!(empty.stdout.contains("no apps") && empty.stdout.contains("node-3"), "{}", empty.shown());
    place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
    for _ in 0..5 {
        mesh.get("/billing/hello");
    }
    let status = place.json("status");
    assert_eq!(status["edge"]["url"], mesh.url);
    assert_eq!(status["apps"][0]["traffic"]["requests"], 5, "{status}");
    let shown = place.mesh("status").good().stdout;
    assert!(shown.contains("billing") && shown.contains("2/2") && shown.contains(&mesh.url), "{shown}");
    let ps = place.mesh("ps").good().stdout;
    assert!(ps.lines().count() == 3 && ps.contains("v0.1.0") && ps.contains("ready"), "{ps}");
    let why = place.mesh("why billing").good().stdout;
    assert!(why.contains("node-1") && why.contains("billing is ready"), "{why}");
    let events = place.mesh("events billing").good().stdout;
    for kind in ["plan-received", "launch-start", "health-ok", "endpoint-register"] {
        assert!(events.contains(kind), "{kind} in {events}");
    }
    place.mesh("why nobody").ended(1);
    place.mesh("logs nobody").ended(1);
}

#[test]
fn logs_show_both_streams_in_lines() {
    let place = Place::new();
    let _mesh = place.start("");
    place.write("talk", "#!/bin/sh\necho hello out\necho hello err >&2\nexec sleep 1000\n");
    place.mesh("deploy talk -workload worker").good();
    let logs = place.mesh("logs talk").good().stdout;
    assert!(logs.contains("hello out") && logs.contains("hello err"), "{logs}");
    let json = place.mesh("logs talk -json -tail 1").good().stdout;
    let line: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(line["nodeID"], "node-1");
}

#[test]
fn a_job_completes() {
    let place = Place::new();
    let _mesh = place.start("");
    place.mesh("deploy program -workload job").good();
    place.event(0, "its end", |event| event["kind"] == "process-exit");
    assert_eq!(place.json("ps").as_array().unwrap().len(), 0);
    assert_eq!(place.json("ps -all")[0]["exit"]["code"], 0);
    assert_eq!(place.json("status")["apps"][0]["state"], "completed");
}

#[test]
fn the_logs_of_old_replicas_leave() {
    let place = Place::new();
    let mesh = place.start("-warmup 0s");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    (0..13).for_each(|_| drop(place.mesh("restart billing").good()));
    let folders = || std::fs::read_dir(place.state().join("logs/node-1")).unwrap().count();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while folders() > 11 {
        assert!(std::time::Instant::now() < end, "{} replicas' logs are left", folders());
        place.mesh("ps").good();
    }
    assert!(place.mesh("logs billing").good().stdout.lines().count() >= 11);
    drop(mesh);
}

/// Whether this machine can't show what replicas do: said loudly, for then nothing is tested.
#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
fn blind() -> bool {
    let why = membrane::bpf::possible().err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

#[test]
fn what_a_replica_does_and_is_refused_is_shown() {
    if blind() {
        return;
    }
    let place = Place::new();
    let mesh = place.start("--admin 127.0.0.1:0");
    let [listed, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [to, not] = [&listed, &other].map(|listener| listener.local_addr().unwrap().port());
    let script = "#!/bin/bash\nwhile sleep 0.05; do\n(exec 3<>/dev/tcp/127.0.0.1/LISTED)\n\
                  (exec 3<>/dev/tcp/127.0.0.1/OTHER)\ndone\n";
    place.write("talk", &script.replace("LISTED", &to.to_string()).replace("OTHER", &not.to_string()));
    place.mesh(&format!("deploy talk -workload worker --reach tcp:127.0.0.1:{to}")).good();
    listed.accept().unwrap();
    let mut command = place.command();
    let mut trace = command.args(["trace", "talk", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(trace.stdout.take().unwrap()).lines();
    let seen = |value: &Value| (value["kind"].as_str().unwrap().to_owned(), value["address"].clone());
    let mut wanted = vec![
        ("exec".to_owned(), Value::Null),
        ("exit".to_owned(), Value::Null),
        ("connect".to_owned(), format!("127.0.0.1:{to}").into()),
        ("refused".to_owned(), format!("127.0.0.1:{not}").into()),
    ];
    for line in lines {
        let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!((&value["appName"], &value["nodeID"]), (&"talk".into(), &"node-1".into()));
        wanted.retain(|one| *one != seen(&value));
        if wanted.is_empty() {
            break;
        }
    }
    trace.kill().unwrap();
    trace.wait().unwrap();
    let refused = place.event(0, "its refusal", |event| event["kind"] == "reach-refused");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains(&format!("was refused a connection to 127.0.0.1:{not} (tcp)")), "{said}");
    let admin = place.json("status")["admin"].as_str().unwrap().to_owned();
    let url = admin.strip_suffix("/metrics").unwrap();
    let text = crate::support::get(url, "/metrics").body;
    for name in ["refusals_total", "connects_total", "execs_total", "network_transmit_bytes_total"] {
        let line =
            text.lines().find(|line| line.starts_with(&format!("mycelium_replica_{name}{{app=\"talk\"")));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count > 0), "{name} in {text}");
    }
    place.mesh("trace nobody").ended(1);
    drop(mesh);
    assert!(other.set_nonblocking(true).is_ok() && other.accept().is_err());
}
