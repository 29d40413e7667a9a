//! `mesh inspect`

use crate::support::{Place, session};

#[test]
fn it_shows_what_a_spore_is() {
    let place = Place::new();
    let path = place.packed();
    let digest = place.mesh(&format!("publish {path}")).good().stdout;
    insta::assert_snapshot!(
        session(&[
            place.mesh(&format!("inspect {path}")).good(),
            place.mesh(&format!("inspect {}", &digest[..8])).good(),
        ])
        .replace(&digest[..8], "[PREFIX]")
    );
    let json = place.mesh(&format!("inspect {path} -json")).good().stdout;
    let manifest: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(manifest["env"]["GREETING"], "hi");
}

#[test]
fn what_is_no_spore_is_refused() {
    let place = Place::new();
    place.write("garbage.spore", "this is not a spore, however long it may be: it is a text of some length");
    insta::assert_snapshot!(session(&[
        place.mesh("inspect garbage.spore").ended(4),
        place.mesh("inspect nothing.spore").ended(1),
        place.mesh("inspect abcd1234").ended(2),
    ]));
}

#[test]
fn it_shows_how_much_a_replica_may_use() {
    let place = Place::new();
    place.packed();
    let text = std::fs::read_to_string(place.work().join("billing.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["nutrients"] = serde_json::json!({
        "cpu_milli": 1, "memory_mb": 2, "pids": 3, "open_files": 40, "io_weight": 5, "log_mb": 6
    });
    place.write("billing.json", &manifest.to_string());
    let path = place.mesh("build -manifest billing.json -binary program -out more.spore").good().stdout;
    let shown = place.mesh(&format!("inspect {}", path.trim())).good().stdout;
    let said = "1 mCPU, 2 MiB, 3 processes, 40 open files, I/O weight 5, 6 MiB of log a replica";
    assert!(shown.contains(said), "{shown}");
}
