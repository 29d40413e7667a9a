//! `mesh publish`

use crate::support::{Place, kill, session};

#[test]
fn the_digest_is_all_that_goes_to_stdout() {
    let place = Place::new();
    let path = place.packed();
    let ran = place.mesh(&format!("publish -spore {path} -repo ./repo")).good();
    let digest = ran.stdout.trim();
    assert!(place.work().join(format!("repo/{digest}.spore")).is_file());
    assert_eq!(place.mesh(&format!("publish {path}")).good().stdout.trim(), digest, "the state's repo");
    insta::assert_snapshot!(session(&[
        ran,
        place.mesh(&format!("publish {path} {path} -repo repo -json")).good()
    ]));
}

#[test]
fn a_replica_that_refused_a_damaged_spore_starts_when_it_is_published_again() {
    let place = Place::new();
    let mesh = place.start("");
    let spore = place.billing("v0.1.0");
    place.mesh(&format!("deploy {spore}")).good();
    let stored = place
        .state()
        .join("repo")
        .join(format!("{}.spore", place.json("status")["apps"][0]["digest"].as_str().unwrap()));
    let bytes = std::fs::read(&stored).unwrap();
    std::fs::remove_file(&stored).unwrap();
    std::fs::write(&stored, &bytes[..bytes.len() - 1]).unwrap();
    let since = place.last_event();
    kill(place.json("ps")[0]["pid"].as_i64().unwrap());
    place.event(since, "the refusal", |event| event["kind"] == "spore-refused");
    place.mesh(&format!("publish {spore}")).good();
    let mut refusals = 0;
    place.event(since, "the new one", |event| {
        refusals += usize::from(event["kind"] == "spore-refused");
        event["kind"] == "endpoint-register"
    });
    assert_eq!(refusals, 1, "said once");
    assert_eq!(mesh.get("/billing/hello").status, 200);
}

#[test]
fn what_cannot_be_published_says_why() {
    let place = Place::new();
    place.write("garbage.spore", "PK but nothing else that would make it a bundle of any kind");
    let path = place.packed();
    insta::assert_snapshot!(session(&[
        place.mesh("publish garbage.spore").ended(4),
        place.mesh("publish nothing.spore").ended(1),
        place.mesh("publish").ended(2),
        place.mesh(&format!("publish {path} -repo /proc/repo")).ended(1),
    ]));
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_nothing() {
    let place = Place::new();
    let mut large = vec![0u8; 3 << 20];
    large[..2].copy_from_slice(b"#!");
    std::fs::write(place.work().join("program"), large).unwrap();
    let path = place.packed();
    // A limit on the size of files is the full disk that needs no root.
    let line = format!("trap '' XFSZ; ulimit -f 1024; exec {} publish {path}", env!("CARGO_BIN_EXE_mesh"));
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(&line).current_dir(place.work()).env("MESH_STATE", place.state());
    let ran = place.run("publish (1 MiB free)", &mut shell).ended(1);
    assert!(ran.stderr.contains("failed to store a spore"), "{}", ran.shown());
    assert_eq!(place.mesh("repo list -json").good().stdout.trim(), "[]");
}

#[test]
fn a_mesh_that_can_not_store_a_large_spore_says_why() {
    let place = Place::new();
    let _mesh = place.start("");
    std::fs::remove_dir_all(place.state().join("repo")).unwrap();
    std::fs::write(place.state().join("repo"), "no folder").unwrap();
    std::fs::write(place.work().join("program"), [b"#!".as_slice(), &[0; 16 << 20]].concat()).unwrap();
    let ran = place.mesh("deploy program").ended(1);
    assert!(ran.stderr.contains("failed to ") && ran.stderr.contains("state/repo"), "{}", ran.shown());
}
