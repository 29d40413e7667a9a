//! `kill -9`: nothing is lost, and everything can be ended.

use std::os::unix::fs::FileTypeExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Place, get, kill, session};

#[test]
fn a_killed_mesh_loses_nothing_and_a_new_one_goes_on_with_it() {
    let place = Place::new();
    let mut mesh = place.start("-nodes 2");
    place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
    let facts = |place: &Place| {
        let replicas = place.json("ps");
        let fact = |r: &serde_json::Value| {
            (r["replica"].clone(), r["pid"].clone(), r["url"].clone(), r["state"].clone())
        };
        replicas.as_array().unwrap().iter().map(fact).collect::<Vec<_>>()
    };
    let before = facts(&place);
    let lines = place.mesh("logs billing").good().stdout;
    mesh.signal(Signal::KILL);
    assert_eq!(mesh.ended(), -1);
    for (_, pid, _, _) in &before {
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "a replica died with the mesh");
    }
    let again = place.start("-nodes 2");
    assert_eq!(again.get("/billing/hello").status, 200, "it serves at once");
    assert_eq!(facts(&place), before, "{}", place.log());
    assert_eq!(place.mesh("logs billing").good().stdout, lines);
}

#[test]
fn a_door_that_the_next_mesh_does_not_have_is_closed() {
    let place = Place::new();
    let mut mesh = place.start("-edge 127.0.0.1:0");
    let addresses = |place: &Place| place.json("status")["edge"]["addresses"].as_array().unwrap().clone();
    let both = addresses(&place);
    mesh.signal(Signal::KILL);
    mesh.ended();
    let _again = place.start("");
    assert_eq!(addresses(&place), both[..1]);
    let second = both[1].as_str().unwrap().trim_start_matches("http://");
    let refused = std::net::TcpStream::connect(second).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_exit_while_the_mesh_was_away_is_known_to_the_next() {
    let place = Place::new();
    let mut mesh = place.start("");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    let pid = place.json("ps")[0]["pid"].as_i64().unwrap();
    let since = place.last_event();
    mesh.signal(Signal::KILL);
    mesh.ended();
    kill(pid);
    let again = place.start("");
    let exit = place.event(since, "the exit", |event| event["kind"] == "process-exit");
    assert!(exit["message"].as_str().unwrap().contains("signal 9"), "{exit}");
    place.event(since, "the new one", |event| event["kind"] == "endpoint-register");
    assert_eq!(again.get("/billing/hello").status, 200);
}

#[test]
fn down_ends_what_a_killed_mesh_left() {
    let place = Place::new();
    let mut mesh = place.start("");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    mesh.signal(Signal::KILL);
    mesh.ended();
    let down = place.mesh("down").good();
    assert!(down.stderr.contains("the keeper") && down.stderr.contains("1 replicas"), "{}", down.shown());
    place.nothing_runs();
    assert!(!place.state().join("run").exists(), "its run folders are gone");
    insta::assert_snapshot!(session(&[place.mesh("down").good()]));
}

#[test]
fn down_ends_what_a_killed_keeper_left() {
    let place = Place::new();
    let mut mesh = place.start("");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    let keeper = place.json("status")["keeper_pid"].as_i64().unwrap();
    mesh.signal(Signal::KILL);
    mesh.ended();
    kill(keeper);
    let down = place.mesh("down").good();
    assert!(down.stderr.contains("no keeper held"), "{}", down.shown());
    place.nothing_runs();
}

#[test]
fn with_fewer_nodes_than_before_nothing_of_the_others_is_left() {
    let place = Place::new();
    let mut mesh = place.start("-nodes 3");
    place.mesh(&format!("deploy {} -instances 3", place.billing("v0.1.0"))).good();
    let replicas = || {
        let replicas = place.json("ps");
        let of = |r: &serde_json::Value| {
            let text = |name: &str| r[name].as_str().unwrap().to_owned();
            (text("nodeID"), r["pid"].as_i64(), text("state"))
        };
        let mut replicas: Vec<_> = replicas.as_array().unwrap().iter().map(of).collect();
        replicas.sort();
        replicas
    };
    let before = replicas();
    let nodes: Vec<_> = before.iter().map(|(node, ..)| node.as_str()).collect();
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    mesh.signal(Signal::KILL);
    mesh.ended();

    let mut again = place.start("-nodes 2");
    assert_eq!(again.get("/billing/hello").status, 200, "it serves at once");
    let lost = format!("/proc/{}", before[2].1.unwrap());
    assert!(!std::path::Path::new(&lost).exists(), "a process of node-3 is left\n{}", place.log());
    assert!(!place.state().join("run/node-3").exists());
    let (mut after, end) = (replicas(), Instant::now() + Duration::from_secs(60));
    while after.len() != 3 || !after.iter().all(|(_, pid, state)| pid.is_some() && state == "ready") {
        assert!(Instant::now() < end, "{after:?}\n{}", place.log());
        after = replicas();
    }
    assert!(after.iter().all(|(node, ..)| node != "node-3"), "{after:?}");
    assert_eq!(replicas_kept(&before[..2], &after), 2, "{before:?} {after:?}");
    assert_eq!(place.json("status")["nodes"].as_array().unwrap().len(), 2);

    again.signal(Signal::TERM);
    assert_eq!(again.ended(), 0, "{}", place.log());
    place.nothing_runs();
    assert_eq!(sockets(&place.state()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_admin_address_is_taken_up_again_or_given_back() {
    let place = Place::new();
    let mut mesh = place.start("-admin 127.0.0.1:0");
    let admin = |place: &Place| {
        let url = place.json("status")["admin"].as_str().unwrap().to_owned();
        url.trim_end_matches("/metrics").to_owned()
    };
    let url = admin(&place);
    mesh.signal(Signal::KILL);
    mesh.ended();
    let mut again = place.start("-admin 127.0.0.1:0");
    assert_eq!((&admin(&place), get(&url, "/metrics").status), (&url, 200));
    again.signal(Signal::KILL);
    again.ended();
    let _without = place.start("");
    // Or whoever asks would wait for an answer.
    let refused = std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

fn replicas_kept<T: PartialEq>(before: &[T], after: &[T]) -> usize {
    before.iter().filter(|replica| after.contains(replica)).count()
}

/// Every socket in a folder and those below.
fn sockets(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(sockets(&entry.path()));
        } else if kind.is_socket() {
            found.push(entry.path());
        }
    }
    found
}
