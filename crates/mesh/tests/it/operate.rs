//! `scale`, `stop`, `restart`, `env`, `budget`, `rollback`, `exec`

use crate::support::{Place, Running};

fn running(place: &Place) -> Running<'_> {
    let mesh = place.start("-nodes 2 -warmup 100ms");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    mesh
}

fn replicas(place: &Place) -> usize {
    place.json("ps").as_array().unwrap().len()
}

#[test]
fn scale_stop_and_purge() {
    let place = Place::new();
    let mesh = running(&place);
    place.mesh("scale billing 3").good();
    assert_eq!(replicas(&place), 3);
    place.mesh("scale billing -max 1").good();
    assert_eq!(replicas(&place), 1);
    let ran = place.mesh("scale billing 1").good();
    assert!(ran.stderr.contains("already"), "{}", ran.shown());
    place.mesh("stop billing").good();
    assert_eq!((replicas(&place), mesh.get("/billing/hello").status), (0, 503));
    place.mesh("scale billing 1").good();
    assert_eq!(mesh.get("/billing/hello").status, 200);
    place.mesh("stop billing -purge").good();
    assert_eq!(mesh.get("/billing/hello").status, 404);
    assert_eq!(place.json("status")["apps"].as_array().unwrap().len(), 0);
    place.mesh("scale billing 1").ended(1);
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
}

#[test]
fn restart_and_env_replace_the_replicas() {
    let place = Place::new();
    let mesh = running(&place);
    let pid = || place.json("ps")[0]["pid"].clone();
    let first = pid();
    place.mesh("restart billing").good();
    let second = pid();
    assert_ne!(first, second);
    place.mesh("env set billing GREETING=salut OTHER=x=y").good();
    assert!(mesh.get("/billing/hello").body.starts_with("salut"));
    let env = place.json("env list billing");
    assert_eq!((&env["plan"]["OTHER"], &env["manifest"]["GREETING"]), (&"x=y".into(), &"hi".into()));
    let third = pid();
    place.mesh("env set billing GREETING=salut").good();
    assert_eq!(pid(), third, "the same again does nothing");
    place.mesh("env unset billing GREETING OTHER").good();
    assert!(mesh.get("/billing/hello").body.starts_with("hi"));
    place.mesh("env set billing nonsense").ended(2);
}

#[test]
fn a_budget_caps_what_a_plan_asks_for() {
    let place = Place::new();
    let _mesh = running(&place);
    place.mesh("budget set billing -max-instances 2").good();
    assert_eq!(place.json("budget show billing")["budget"]["maxInstances"], 2);
    place.mesh("scale billing 4 -no-wait").good();
    let status = place.json("status");
    assert_eq!(status["apps"][0]["wanted"], 2, "{status}");
    place.mesh("budget remove billing").good();
    assert!(place.json("budget show billing")["budget"].is_null());
    place.mesh("budget set billing").ended(2);
}

#[test]
fn rollback_goes_back_and_to_any_version_that_is_there() {
    let place = Place::new();
    let mesh = running(&place);
    place.mesh("rollback billing").ended(1);
    place.mesh(&format!("deploy {}", place.billing("v0.2.0"))).good();
    place.mesh(&format!("deploy {}", place.billing("v0.3.0"))).good();
    let ran = place.mesh("rollback billing").good();
    assert!(ran.stdout.starts_with("billing v0.2.0 ready"), "{}", ran.shown());
    place.mesh("rollback billing v0.1.0").good();
    assert!(mesh.get("/billing/hello").body.contains("v0.1.0"));
    place.mesh("rollback billing v9.9.9").ended(1);
}

#[test]
fn exec_runs_where_the_replica_lives_and_ends_as_the_command_does() {
    let place = Place::new();
    let _mesh = running(&place);
    let ran = place.mesh("exec billing -- sh -c echo_$MESH_APP");
    assert_eq!(ran.code, 127, "{}", ran.shown());
    let ran = place.mesh("exec billing env").good();
    assert!(ran.stdout.contains("MESH_APP=billing") && ran.stdout.contains("PORT="), "{}", ran.shown());
    place.mesh("exec billing false").ended(1);
    place.mesh("exec billing -replica nobody true").ended(1);
    place.mesh("exec nobody true").ended(1);
}
