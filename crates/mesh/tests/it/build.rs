//! `mesh build`

use crate::support::{Place, session};

#[test]
fn it_packs_and_says_what_and_with_which_key() {
    let place = Place::new();
    insta::assert_snapshot!(session(&[
        place.mesh("build -manifest billing.json -binary program").good(),
        place.mesh("build -manifest billing.json -binary program -out elsewhere -tag v2.0.0 -json").good(),
        place.mesh("keys list").good(),
        place.mesh("trust list").good(),
    ]));
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let place = Place::new();
    let build = || {
        let path = place.packed();
        std::fs::read(place.work().join(path)).unwrap()
    };
    assert_eq!(build(), build());
}

#[test]
fn mistakes_are_named() {
    let place = Place::new();
    place.write("broken.json", r#"{ "kind": "Spore", "name": "Billing" }"#);
    place.write("twice.json", r#"{ "kind": "Spore", "kind": "Spore" }"#);
    insta::assert_snapshot!(session(&[
        place.mesh("build -manifest nothing.json -binary program").ended(2),
        place.mesh("build -manifest broken.json -binary program").ended(2),
        place.mesh("build -manifest twice.json -binary program").ended(2),
        place.mesh("build -manifest billing.json -binary nothing").ended(1),
        place.mesh("build -manifest billing.json -binary program -key nobody").ended(1),
        place.mesh("build -manifest billing.json").ended(2),
        place.mesh("build -manifest billing.json -binary program -out /proc/out").ended(1),
    ]));
}

#[test]
fn latest_is_for_development() {
    let place = Place::new();
    let built = place.mesh("build -manifest billing.json -binary program -tag latest").good();
    let published = place.mesh("publish out/billing-latest.spore").ended(4);
    insta::assert_snapshot!(session(&[built, published]));
}

#[test]
fn files_come_with_it() {
    let place = Place::new();
    place.write("assets/index.html", "<p>");
    place.write("assets/css/site.css", "p {}");
    place.mesh("build -manifest billing.json -binary program -files assets").good();
    let shown = place.mesh("inspect out/billing-v0.1.0.spore").good();
    assert!(
        shown.stdout.contains("css/site.css") && shown.stdout.contains("index.html"),
        "{}",
        shown.shown()
    );
}

#[test]
fn a_spore_that_can_not_be_written_whole_is_named_and_leaves_nothing() {
    let place = Place::new();
    std::fs::write(place.work().join("program"), vec![7; 300_000]).unwrap();
    let built = place.command();
    // What a full disk does to a write, for this process alone: 64 KiB is the longest file.
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "sh"]).arg(built.get_program());
    limited.envs(built.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(place.work());
    let line = "build -manifest billing.json -binary program -out spores";
    let ran = place.run(line, limited.args(line.split_whitespace())).ended(1);
    assert!(ran.stderr.contains("failed to write spores/billing-v0.1.0.spore: "), "{}", ran.shown());
    assert_eq!(std::fs::read_dir(place.work().join("spores")).unwrap().count(), 0);
}
