//! `status`, `ps`, `logs`, `events`, `why`

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

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

/// What `mesh trace` tells of an app, as it comes; it ends with this.
struct Tracing {
    child: Child,
    told: Receiver<Value>,
}

impl Tracing {
    fn of(place: &Place, app: &str) -> Self {
        let mut command = place.command();
        let mut child = command.args(["trace", app, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, told }
    }

    /// The next thing; `missing` is what is waited for.
    fn next(&self, missing: impl std::fmt::Debug) -> Value {
        let next = self.told.recv_timeout(Duration::from_secs(60));
        next.unwrap_or_else(|error| panic!("{error}, and {missing:?} is missing"))
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Goes on for ever, or ends at once.
const TURNS: &str = "#!/bin/bash\nwhile [ \"$TURN\" = long ] && sleep 0.05; do /bin/true; done\n";

#[test]
fn jobs_that_end_at_once_are_seen_each_of_them() {
    if blind() {
        return;
    }
    let place = Place::new();
    let _mesh = place.start("");
    place.write("turns", TURNS);
    place.mesh("deploy turns -workload job --env TURN=long --no-wait").good();
    let tracing = Tracing::of(&place, "turns");
    // From the first one on it is followed.
    let long = tracing.next("the first")["replica"].clone();
    place.mesh("deploy turns -workload job --instances 100 --env TURN=short --no-wait").good();
    let (mut execs, mut ends) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
    while execs.len() < 100 || ends.len() < 100 {
        let trace = tracing.next((execs.len(), ends.len()));
        if trace["replica"] == long {
            continue;
        }
        let replica = trace["replica"].as_str().unwrap().to_owned();
        match trace["kind"].as_str().unwrap() {
            "exec" => drop(execs.insert(replica)),
            // Of the keeper's own, one goes before and one after it.
            "exit" if trace["process"] != "mesh" && trace["code"] == 0 => {
                *ends.entry(replica).or_default() += 1
            }
            "exit" => {}
            other => panic!("{other}: {trace}"),
        }
    }
    // What was seen before its replica was known isn't told again.
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}

#[test]
fn where_the_kernel_tells_nothing_replicas_are_glanced_at_and_that_is_said() {
    if membrane::bpf::possible().is_ok() {
        println!("SKIPPED: this machine tells all that replicas do");
        return;
    }
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _mesh = place.start("");
    let script = format!("#!/bin/bash\nwhile sleep 1; do exec 3<>/dev/tcp/127.0.0.1/{port}; done\n");
    place.write("talk", &script);
    place.mesh(&format!("deploy talk -workload worker --reach tcp:{port}")).good();
    let tracing = Tracing::of(&place, "talk");
    let first = tracing.next("the first");
    assert_eq!((&first["kind"], &first["every_ms"]), (&"sampled".into(), &250.into()), "{first}");
    assert!(!first["why"].as_str().unwrap().is_empty(), "{first}");
    let address = Value::from(format!("127.0.0.1:{port}"));
    let mut wanted = vec![("exec", Value::Null), ("exit", Value::Null), ("connect", address)];
    while !wanted.is_empty() {
        let trace = tracing.next(&wanted);
        wanted.retain(|(kind, address)| trace["kind"] != *kind || trace["address"] != *address);
    }
}
