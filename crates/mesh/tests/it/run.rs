//! `mesh run`

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
fn a_broken_identity_is_named() {
    let place = Place::new();
    std::fs::create_dir_all(place.state()).unwrap();
    std::fs::write(place.state().join("mesh.json"), "{ garbage").unwrap();
    let ran = place.mesh("run -edge 127.0.0.1:0").ended(1);
    assert!(ran.stderr.contains("mesh.json"), "{}", ran.shown());
}
