//! `mesh repo`

use crate::support::{Place, session};

#[test]
fn it_lists_what_is_there_readable_or_not() {
    let place = Place::new();
    let empty = place.mesh("repo list").good();
    let path = place.packed();
    place.mesh(&format!("publish {path}")).good();
    let listed = place.mesh("repo list").good();
    let zeros = place.state().join(format!("repo/{}.spore", "0".repeat(64)));
    std::fs::write(zeros, "not a spore").unwrap();
    let both = place.mesh("repo list").good();
    assert!(both.stdout.contains("unreadable: "), "{}", both.shown());
    insta::assert_snapshot!(session(&[empty, listed, place.mesh("repo gc").ended(3)]));
}

#[test]
fn gc_leaves_what_plans_name_and_what_is_new() {
    let place = Place::new();
    let mesh = place.start("");
    let digest = |version: &str| {
        let spore = place.billing(version);
        place.mesh(&format!("publish {spore}")).good().stdout.trim().to_owned()
    };
    let (used, stale, new) = (digest("v0.1.0"), digest("v0.2.0"), digest("v0.3.0"));
    place.mesh(&format!("deploy {used}")).good();
    for old in [&used, &stale] {
        let file = std::fs::File::open(place.state().join(format!("repo/{old}.spore"))).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(61)).unwrap();
    }
    let collected = place.mesh("repo gc").good();
    assert!(collected.stdout.contains(&stale), "{}", collected.shown());
    let left = place.mesh("repo list").good().stdout;
    assert!(
        left.contains(&used[..12]) && left.contains(&new[..12]) && !left.contains(&stale[..12]),
        "{left}"
    );
    drop(mesh);
}
