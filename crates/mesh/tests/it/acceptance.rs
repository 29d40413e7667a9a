//! The acceptance tests of the specification, and its quick start as printed.

use std::collections::BTreeSet;

use crate::support::{Place, get, kill, workload};

/// The specification's five steps; the fourth's digest.
fn quick_start(place: &Place) -> String {
    std::fs::create_dir(place.work().join("bin")).unwrap();
    std::fs::copy(workload("billing"), place.work().join("bin/billing")).unwrap();
    std::fs::create_dir(place.work().join("examples")).unwrap();
    std::fs::copy(place.work().join("billing.json"), place.work().join("examples/billing.json")).unwrap();
    place.mesh("build   -manifest ./examples/billing.json   -binary ./bin/billing   -out ./out").good();
    let spores: Vec<_> = std::fs::read_dir(place.work().join("out")).unwrap().flatten().collect();
    assert_eq!(spores.len(), 1, "what `ls out/*.spore` prints is one file");
    let spore = spores[0].file_name().into_string().unwrap();
    place.mesh(&format!("publish -spore out/{spore} -repo ./repo")).good().stdout.trim().to_owned()
}

/// Waits until so many endpoints of billing take requests.
fn registered(place: &Place, since: u64, count: usize) {
    let mut seen = 0;
    place.event(since, "endpoints of billing", |event| {
        seen += usize::from(event["kind"] == "endpoint-register" && event["appName"] == "billing");
        seen == count
    });
}

#[test]
fn acceptance_1_build_pack_publish_run_hello() {
    let place = Place::new();
    let digest = quick_start(&place);
    let mesh = place.start(&format!("-repo ./repo -digest {digest} -app billing -instances 2 -nodes 3"));
    registered(&place, 0, 2);
    let answers: Vec<_> = (0..8).map(|_| mesh.get("/billing/hello")).collect();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("x-mycelium-edge: 20"), "{answer:?}");
        assert!(answer.body.starts_with("hi from billing"), "{answer:?}");
    }
    let bodies: BTreeSet<_> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(bodies.len(), 2, "round robin over both replicas: {bodies:?}");
    let replicas = place.json("ps");
    let nodes: BTreeSet<_> =
        replicas.as_array().unwrap().iter().map(|r| r["nodeID"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), 2, "spread over nodes first: {replicas}");
}

#[test]
fn acceptance_2_update_blue_green() {
    let place = Place::new();
    let mesh = place.start("-nodes 3 -warmup 200ms");
    let first = place.billing("v0.1.0");
    place.mesh(&format!("deploy {first} -instances 2")).good();
    let before = place.json("ps");
    let old: Vec<_> = before.as_array().unwrap().iter().map(|r| r["pid"].as_i64().unwrap()).collect();
    assert_eq!(old.len(), 2);

    let second = place.billing("v0.2.0");
    let ran = mesh.while_asked("/billing/hello", || place.mesh(&format!("deploy {second}")).good());
    assert!(ran.stdout.starts_with("billing v0.2.0 ready 2/2 http://"), "{}", ran.shown());
    let after = place.json("ps");
    for replica in after.as_array().unwrap() {
        assert_eq!((replica["version"].as_str(), replica["state"].as_str()), (Some("v0.2.0"), Some("ready")));
    }
    assert_eq!(after.as_array().unwrap().len(), 2);
    for pid in old {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} still runs");
    }
}

#[test]
fn acceptance_3_kill_a_workload() {
    let place = Place::new();
    let mesh = place.start("");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    let pid = place.json("ps")[0]["pid"].as_i64().unwrap();
    let since = place.last_event();
    kill(pid);
    let exit = place.event(since, "its exit", |event| event["kind"] == "process-exit");
    assert!(exit["message"].as_str().unwrap().contains("signal 9"), "{exit}");
    registered(&place, since, 1);
    assert_eq!(mesh.get("/billing/hello").status, 200);
    let replica = &place.json("ps")[0];
    assert_eq!(
        (replica["restarts"].as_u64(), replica["state"].as_str()),
        (Some(1), Some("ready")),
        "{replica}"
    );
}

#[test]
fn the_quick_start_works_as_printed() {
    let place = Place::new();
    let digest = quick_start(&place);
    // As printed, but for the port: 8080 may be somebody's.
    let words = [
        "run",
        "-repo",
        "./repo",
        "-digest",
        &digest,
        "-app",
        "billing",
        "-instances",
        "2",
        "-edge",
        ":0",
        "-nodes",
        "3",
    ];
    let mesh = place.start_words(&words);
    registered(&place, 0, 2);
    let port = mesh.url.rsplit(':').next().unwrap();
    assert_eq!(get(&format!("http://localhost:{port}"), "/billing/hello").status, 200);
    assert_eq!(get(&format!("http://127.0.0.1:{port}"), "/billing/hello").status, 200);
}
