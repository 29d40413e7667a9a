//! `mesh run`

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::support::{Place, session};

#[test]
fn ctrl_c_and_sigterm_stop_it_clean() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::new();
        let mut mesh = place.start("-nodes 2");
        place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
        mesh.signal(signal);
        assert_eq!(mesh.ended(), 0, "{}", place.log());
        place.nothing_runs();
        assert!(!place.state().join("mesh.sock").exists());
        assert_eq!(
            std::fs::read_dir(place.state().join("run")).map_or(0, |d| d
                .flatten()
                .flat_map(|n| std::fs::read_dir(n.path()))
                .flatten()
                .count()),
            0
        );
    }
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = place.mesh(&format!("run -edge {address}")).ended(1);
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("hint: "), "{}", ran.shown());
    place.nothing_runs();
}

#[test]
fn a_second_mesh_in_one_state_is_refused() {
    let place = Place::new();
    let mesh = place.start("");
    let ran = place.mesh("run -edge 127.0.0.1:0").ended(1);
    assert!(ran.stderr.contains(&format!("process {}", mesh.child.id())), "{}", ran.shown());
}

#[test]
fn mistakes_are_named_before_anything_starts() {
    let place = Place::new();
    insta::assert_snapshot!(session(&[
        place.mesh("run -edge nonsense").ended(2),
        place.mesh("run -nodes 0").ended(2),
        place.mesh("run -digest abc").ended(2),
        place.mesh("run -digest abc -app billing").ended(2),
        place.mesh(&format!("run -digest {} -app billing", "0".repeat(64))).ended(1),
        place.mesh("run -warmup soon").ended(2),
        place.mesh("run -tls-cert a.pem").ended(2),
    ]));
    place.nothing_runs();
}

#[test]
fn its_log_is_json_when_asked_for() {
    let place = Place::new();
    let mut mesh = place.start("-log json");
    mesh.signal(Signal::TERM);
    assert_eq!(mesh.ended(), 0);
    let log = place.log();
    let lines: Vec<_> = log.lines().filter(|line| line.starts_with('{')).collect();
    assert!(!lines.is_empty(), "{log}");
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn the_second_ctrl_c_hurries() {
    let place = Place::new();
    let mut mesh = place.start("");
    place.write("stubborn", "#!/bin/sh\ntrap '' TERM\necho here\nwhile :; do sleep 1; done\n");
    place.mesh("deploy stubborn -workload worker -grace 1h").good();
    let since = place.last_event();
    let started = std::time::Instant::now();
    mesh.signal(Signal::INT);
    place.event(since, "the stop", |event| event["kind"] == "mesh" && event["message"] == "mesh stops");
    mesh.signal(Signal::INT);
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    assert!(started.elapsed().as_secs() < 30);
    place.nothing_runs();

    let mut mesh = place.start("");
    place
        .event(0, "it again", |event| event["seq"].as_u64() > Some(since) && event["kind"] == "launch-start");
    place.mesh("down -now").good();
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    place.nothing_runs();
}

#[test]
fn metrics_are_served_where_asked() {
    let place = Place::new();
    let mesh = place.start("-admin 127.0.0.1:0");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    mesh.get("/billing/hello");
    let admin = place.json("status")["admin"].as_str().unwrap().to_owned();
    let metrics = crate::support::get(admin.trim_end_matches("/metrics"), "/metrics");
    assert!(metrics.body.contains("mycelium_edge_requests_total{app=\"billing\""), "{metrics:?}");
}

#[test]
fn a_broken_state_is_named() {
    let place = Place::new();
    drop(place.start(""));
    std::fs::write(place.state().join("fabric.redb"), vec![7; 9000]).unwrap();
    let ran = place.mesh("run -edge 127.0.0.1:0").ended(1);
    assert!(ran.stderr.contains("fabric.redb"), "{}", ran.shown());
}

#[test]
fn a_broken_identity_is_named() {
    let place = Place::new();
    std::fs::create_dir_all(place.state()).unwrap();
    std::fs::write(place.state().join("mesh.json"), "{ garbage").unwrap();
    let ran = place.mesh("run -edge 127.0.0.1:0").ended(1);
    assert!(ran.stderr.contains("mesh.json"), "{}", ran.shown());
}

#[test]
fn a_state_folder_that_others_may_change_is_refused() {
    let place = Place::new();
    std::fs::create_dir_all(place.state()).unwrap();
    std::fs::set_permissions(place.state(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = place.mesh("run -edge 127.0.0.1:0").ended(1);
    let state = place.state().display().to_string();
    let said = format!("failed to use {state}: others may write to it (mode 0777)");
    assert!(ran.stderr.contains(&said), "{}", ran.shown());
    assert!(ran.stderr.contains(&format!("chmod go-w {state}")), "{}", ran.shown());
    assert_eq!(std::fs::read_dir(place.state()).unwrap().count(), 0, "nothing was left in it");
}
