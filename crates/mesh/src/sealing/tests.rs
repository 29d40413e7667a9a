use mycelium::api::NodeKey;
use types::Digest;

use super::*;

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

const A: &str = "gDT+5nTWFOmdyWAFLoXtFUTgzT3ARIFxlQ5nNZg3cWE=";
const B: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OPERATOR: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

fn node(name: &str, public_key: &str, zone: &str) -> NodeKey {
    NodeKey {
        node_id: NodeName::new(name).unwrap(),
        public_key: key(public_key),
        labels: BTreeMap::from([("zone".into(), zone.into())]),
    }
}

fn name() -> SettingName {
    SettingName::new("db-password").unwrap()
}

fn app(text: &str) -> AppName {
    AppName::new(text).unwrap()
}

fn planned(text: &str, zone: Option<&str>, names_it: bool) -> AppSettings {
    AppSettings {
        app_name: app(text),
        digest: Digest::of(b"spore"),
        constraints: zone.map(|zone| ("zone".to_owned(), zone.to_owned())).into_iter().collect(),
        secrets: names_it.then(name).into_iter().collect(),
        secrets_before: BTreeSet::new(),
        config: BTreeSet::new(),
    }
}

fn at(apps: Vec<AppSettings>) -> SettingsAt {
    SettingsAt {
        nodes: vec![node("node-1", A, "a"), node("node-2", B, "b")],
        operators: [key(OPERATOR)].into(),
        apps,
        ..SettingsAt::default()
    }
}

fn named(at: &SettingsAt, apps: &[&str]) -> Vec<String> {
    let apps = apps.iter().map(|text| app(text)).collect();
    let mut names: Vec<String> = nodes(at, &name(), &apps).values().map(ToString::to_string).collect();
    names.sort();
    names
}

#[test]
fn a_secret_is_for_the_nodes_that_may_run_its_apps() {
    let mesh = at(vec![planned("billing", Some("a"), true), planned("other", Some("b"), false)]);
    assert_eq!(named(&mesh, &[]), ["node-1"], "those of every app that names it");
    assert_eq!(named(&mesh, &["other"]), ["node-2"]);
    assert_eq!(named(&mesh, &["other", "billing"]), ["node-1", "node-2"]);
    assert_eq!(named(&mesh, &["unplanned"]), ["node-1", "node-2"], "it may run anywhere yet");
    assert_eq!(named(&at(vec![]), &[]), Vec::<String>::new());
    let next = foresee(&mesh, &planned("other", None, true));
    assert_eq!(named(&next, &[]), ["node-1", "node-2"]);
}

#[test]
fn what_lacks_and_what_is_spare_is_seen() {
    let mesh = at(vec![planned("billing", None, true)]);
    let standing = |shares: &[&str], held: &[&str]| {
        let shares = shares.iter().map(|text| key(text)).collect();
        let held: BTreeSet<String> = held.iter().map(|&text| text.to_owned()).collect();
        let info = SecretInfo { name: name(), version: 1, app_names: BTreeSet::new(), shares, held };
        let standing = Standing::of(&mesh, &info);
        (standing.is_current(), standing.describe(&info.held))
    };
    assert_eq!(standing(&[A, B, OPERATOR], &[]), (true, "2 of 2 nodes".into()));
    assert_eq!(standing(&[A, OPERATOR], &[]), (false, "1 of 2 nodes".into()));
    assert_eq!(standing(&[A, B], &[]), (false, "2 of 2 nodes".into()), "no operator could seal it anew");
    assert_eq!(standing(&[OPERATOR], &["vault:transit/mesh"]), (true, "vault:transit/mesh".into()));
    let gone = SettingsAt { nodes: vec![node("node-1", A, "a")], ..mesh.clone() };
    let shares = [key(A), key(B), key(OPERATOR)].into();
    let info =
        SecretInfo { name: name(), version: 1, app_names: BTreeSet::new(), shares, held: BTreeSet::new() };
    assert!(Standing::of(&gone, &info).spare, "a node that left has a share");
}
