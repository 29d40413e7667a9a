//! `mesh upgrade`: no request fails, no replica notices.

use crate::support::{Place, get};

#[test]
fn a_new_mesh_takes_over_without_a_failed_request() {
    let place = Place::new();
    let mut mesh = place.start("-nodes 2");
    place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
    let pids = || place.json("ps").as_array().unwrap().iter().map(|r| r["pid"].clone()).collect::<Vec<_>>();
    let (before, old) = (pids(), mesh.child.id());
    mesh.while_asked("/billing/hello", || place.mesh("upgrade")).good();
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    let status = place.json("status");
    assert_ne!(status["pid"], old);
    assert_eq!(
        (status["nodes"].as_array().unwrap().len(), &status["edge"]["url"]),
        (2, &mesh.url.as_str().into())
    );
    assert_eq!(pids(), before);
    place.mesh("down").good();
    place.nothing_runs();
}

#[test]
fn without_a_mesh_there_is_nothing_to_upgrade() {
    Place::new().mesh("upgrade").ended(3);
}

#[test]
fn the_admin_address_is_taken_over_too() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut mesh = place.start(&format!("-admin {free}"));
    let metrics = || get(&format!("http://{free}"), "/metrics");
    assert_eq!(metrics().status, 200);
    place.mesh("upgrade").good();
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    assert_eq!(metrics().status, 200);
}
