//! `mesh policy`: rules are tested, put in force, and obeyed in their own words.

use crate::support::Place;

/// Rules of which one plan label is asked.
const OWNERS: &str = "package mesh.admission\n\
    deny contains \"no «owner»\" if not input.plan.labels.owner\n\
    deny contains sprintf(\"%s is not for node %s\", [input.app, input.node.name]) if input.plan.labels.owner == \"mallory\"\n";

fn examples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies").to_owned()
}

#[test]
fn the_shipped_policies_pass_their_tests() {
    let place = Place::new();
    let ran = place.mesh(&format!("policy test {}", examples())).good();
    assert!(ran.stdout.ends_with("11 passed, 0 failed\n"), "{}", ran.shown());
}

#[test]
fn a_test_that_fails_is_told_and_ends_with_1() {
    let place = Place::new();
    place.write("p/owner.rego", OWNERS);
    place.write(
        "p/owner_test.rego",
        "package mesh.admission\ntest_good if count(deny) == 1 with input as {}\ntest_bad if count(deny) == 2\n\
         test_broken if to_number(\"zz\") == 1\n",
    );
    let ran = place.mesh("policy test p").ended(1);
    insta::assert_snapshot!(ran.shown());
    let rows = place.mesh("policy test p -json").ended(1);
    let rows: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!(rows[0]["result"], "failed");
    assert_eq!(rows.as_array().unwrap().len(), 3);
    place.mesh("policy test nowhere").ended(2);
    place.write("empty/a.txt", "");
    place.mesh("policy test empty").ended(2);
}

#[test]
fn a_spore_is_checked_by_a_folder_of_policies() {
    let place = Place::new();
    let path = place.packed();
    place.write("p/owner.rego", OWNERS);
    let ran = place.mesh(&format!("policy check {path} -policy p")).ended(4);
    assert_eq!(ran.stdout, "denied: no «owner»\n");
    place.mesh(&format!("policy check {path} -policy p -label owner=ada")).good();
    let shipped = place.mesh(&format!("policy check {path} -policy {}", examples())).ended(4);
    assert_eq!(shipped.stdout.lines().count(), 3, "{}", shipped.shown());
    place.write("p/broken.rego", "package mesh.admission\ndeny contains x if y\n");
    let ran = place.mesh(&format!("policy check {path} -policy p")).ended(4);
    assert!(ran.stderr.contains("undefined variable `y` is unsafe"), "{}", ran.shown());
}

#[test]
fn what_is_in_force_is_obeyed_word_for_word_until_it_is_no_longer() {
    let place = Place::new();
    place.write("owner.rego", OWNERS);
    place.write("owner_test.rego", "package mesh.admission\n");
    let _mesh = place.start("-nodes 1");
    let path = place.billing("v1.0.0");
    let set = place.mesh("policy set owner.rego owner_test.rego").good();
    assert!(set.stderr.contains("in force: owner (on this node only)"), "{}", set.shown());
    assert!(place.mesh("policy set owner.rego").good().stderr.contains("in force already: owner"));
    assert_eq!(place.mesh("policy show owner").good().stdout, OWNERS);
    assert_eq!(place.json("policy list")[0]["name"], "owner");

    let refused = place.mesh(&format!("deploy {path}")).ended(4);
    assert!(refused.stderr.contains("denied by policy: no «owner»"), "{}", refused.shown());
    for line in ["ps", "events", "why billing"] {
        let shown = place.mesh(line).good();
        assert!(shown.stdout.contains("denied by policy: no «owner»"), "{}", shown.shown());
    }
    place.mesh(&format!("policy check {path}")).ended(4);
    let refused = place.mesh(&format!("deploy {path} -label owner=mallory")).ended(4);
    assert!(
        refused.stderr.contains("denied by policy: billing is not for node node-1"),
        "{}",
        refused.shown()
    );
    place.mesh(&format!("deploy {path} -label owner=ada")).good();
    place.mesh(&format!("policy check {path}")).good();

    let broken = place.write("broken.rego", "package mesh.admission\ndeny contains x if y\n");
    let ran = place.mesh(&format!("policy set {}", broken.display())).ended(2);
    assert!(
        ran.stderr.contains("broken.rego:2:20: use of undefined variable `y` is unsafe"),
        "{}",
        ran.shown()
    );
    assert_eq!(place.json("policy list").as_array().unwrap().len(), 1);
}

#[test]
fn an_app_that_was_denied_starts_once_the_policy_is_gone() {
    let place = Place::new();
    place.write("owner.rego", OWNERS);
    let _mesh = place.start("-nodes 1");
    let path = place.billing("v1.0.0");
    place.mesh("policy set owner.rego").good();
    place.mesh(&format!("deploy {path}")).ended(4);
    let since = place.last_event();
    place.mesh("policy rm owner").good();
    place.event(since, "billing is ready", |event| event["kind"] == "endpoint-register");
    let ran = place.mesh("policy rm owner").ended(1);
    assert!(ran.stderr.contains("no policy in force is called owner"), "{}", ran.shown());
}

#[test]
fn a_policy_of_no_operator_is_refused() {
    let place = Place::new();
    place.write("owner.rego", OWNERS);
    let _mesh = place.start("-nodes 1");
    place.mesh("keys new mallory").good();
    place.mesh("policy set owner.rego -operator mallory").ended(4);
    assert_eq!(place.json("policy list"), serde_json::json!([]));
}
