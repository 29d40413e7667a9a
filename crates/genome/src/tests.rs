use super::*;
use serde_json::json;
use std::collections::BTreeMap;
use types::{Nutrients, Workload};

fn plan(value: serde_json::Value) -> Plan {
    serde_json::from_value(value).unwrap()
}

fn minimal() -> serde_json::Value {
    json!({ "appName": "billing", "digest": "0".repeat(64), "min": 2, "max": 4, "port": 0 })
}

#[test]
fn the_messages_of_the_specification_read_as_they_are_printed_there() {
    let plan = plan(minimal());
    assert_eq!((plan.min, plan.max, plan.release.port, plan.warmup_ms), (2, 4, 0, 2000));
    plan.validate().unwrap();
    let budget: Budget = serde_json::from_value(
        json!({ "appName": "billing", "maxInstances": 4, "cpu_milli": 500, "memory_mb": 256 }),
    )
    .unwrap();
    assert_eq!(budget.instances(Nutrients { cpu_milli: 200, memory_mb: 128 }), 2);
    assert_eq!(budget.instances(Nutrients::default()), 4);
}

#[test]
fn a_revision_changes_with_what_runs_and_with_nothing_else() {
    let base = plan(minimal());
    let mut scaled = base.clone();
    scaled.max = 9;
    scaled.release.version = "v9".into();
    assert_eq!(scaled.release.revision(), base.release.revision());
    let mut env = base.clone();
    env.release.env.insert("GREETING".into(), "hi".into());
    let mut restarted = base.clone();
    restarted.release.restart = 1;
    assert_ne!(env.release.revision(), base.release.revision());
    assert_ne!(restarted.release.revision(), base.release.revision());
}

#[test]
fn what_replicas_read_is_part_of_what_they_run_and_of_no_plan_that_names_nothing() {
    let base = plan(minimal());
    // As before there were secrets: an upgrade replaces no replica.
    assert_eq!(base.release.revision().as_str(), "6e2d69f6dfd7644b");
    assert_eq!(serde_json::to_value(&base.release).unwrap().get("secrets"), None);
    let with = |settings: serde_json::Value| {
        let mut value = minimal();
        value.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        plan(value)
    };
    let one = with(json!({ "secrets": { "db-password": 1 } }));
    let two = with(json!({ "secrets": { "db-password": 2 } }));
    let config = with(json!({ "config": { "db-password": 1 } }));
    let revisions: std::collections::BTreeSet<_> =
        [&base, &one, &two, &config].map(|plan| plan.release.revision()).into();
    assert_eq!(revisions.len(), 4);
    // How newer values come changes nothing that runs; and the versions nothing of what a replica is besides.
    let told = with(json!({ "secrets": { "db-password": 1 }, "rotate": "HUP" }));
    assert_eq!(
        (told.release.revision(), told.release.settings.rotate),
        (one.release.revision(), Some(Signal::Hup))
    );
    assert_eq!(one.release.body(), two.release.body());
    assert_ne!(one.release.body(), config.release.body());
    assert_ne!(one.release.body(), base.release.body());
    for name in ["HUP", "SIGUSR1", "USR2"] {
        assert!(name.parse::<Signal>().is_ok());
    }
    assert!("TERM".parse::<Signal>().is_err() && "hup".parse::<Signal>().is_err());
    let many: BTreeMap<String, u64> = (0..33).map(|n| (format!("s{n}"), 1)).collect();
    assert_eq!(with(json!({ "secrets": many })).validate().unwrap_err().field, "secrets");
}

#[test]
fn secrets_and_configs_are_bounded() {
    let secret = |change: fn(&mut serde_json::Value)| {
        let mut value = json!({ "name": "db-password", "version": 3, "sealed": "AAAA" });
        change(&mut value);
        let read = serde_json::from_value::<Secret>(value);
        read.map_err(|e| e.to_string())
            .and_then(|secret| secret.validate().map_err(|wrong| wrong.field.to_owned()))
    };
    secret(|_| ()).unwrap();
    assert_eq!(secret(|value| value["version"] = 0.into()).unwrap_err(), "version");
    assert_eq!(secret(|value| value["version"] = u64::MAX.into()).unwrap_err(), "version");
    let key = "gDT+5nTWFOmdyWAFLoXtFUTgzT3ARIFxlQ5nNZg3cWE=";
    assert_eq!(
        Some("shares"),
        secret(|value| value["shares"] =
            json!({ "gDT+5nTWFOmdyWAFLoXtFUTgzT3ARIFxlQ5nNZg3cWE=": "x".repeat(257) }))
        .err()
        .as_deref()
    );
    assert!(secret(|value| value["shares"] = json!({ "not a key": "x" })).is_err());
    assert!(secret(|value| value["name"] = "../etc".into()).is_err());
    assert_eq!(secret(|value| value["held"] = json!({ "a": "x".repeat(1025) })).unwrap_err(), "held");
    assert_eq!(
        secret(|value| value["held"] = json!({ "a": "", "b": "", "c": "", "d": "", "e": "" })).unwrap_err(),
        "held"
    );
    assert!(
        serde_json::from_value::<Secret>(
            json!({ "name": "a", "version": 1, "sealed": "", "shares": { key: "x" } })
        )
        .is_ok()
    );
    let apps: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
    let config = json!({ "name": "features", "version": 1, "text": "", "appNames": apps });
    assert_eq!(serde_json::from_value::<Config>(config).unwrap().validate().unwrap_err().field, "appNames");
}

#[test]
fn plans_that_cannot_be_meant_are_refused_by_field() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = plan(minimal());
        change(&mut plan);
        plan.validate().unwrap_err().field
    };
    assert_eq!(refused(|p| p.min = 5), "min");
    assert_eq!(refused(|p| p.max = 1_000_000), "max");
    assert_eq!(refused(|p| p.warmup_ms = u64::MAX), "warmup_ms");
    assert_eq!(refused(|p| drop(p.release.env.insert("A=B".into(), String::new()))), "env");
    assert_eq!(refused(|p| drop(p.release.env.insert("A".into(), "x".repeat(40_000)))), "env");
    assert_eq!(refused(|p| (p.release.workload, p.release.port) = (Workload::Job, 80)), "port");
}

#[test]
fn what_says_who_may_write_has_the_names_of_the_schemas_and_is_bounded() {
    let key = "gDT+5nTWFOmdyWAFLoXtFUTgzT3ARIFxlQ5nNZg3cWE=";
    let read = |removed: bool, keeps: usize| {
        let value = json!({ "publicKey": key, "name": "ada", "removed": removed, "keeps": vec!["0".repeat(64); keeps] });
        serde_json::from_value::<Operator>(value).unwrap().validate().map_err(|invalid| invalid.field)
    };
    assert_eq!((read(false, 0), read(true, 800)), (Ok(()), Ok(())));
    assert_eq!((read(false, 1), read(true, 801)), (Err("keeps"), Err("keeps")));
    let root = |successions: usize, length: usize| {
        let value = json!({ "successions": vec!["x".repeat(length); successions] });
        serde_json::from_value::<RootChange>(value).unwrap().validate().is_ok()
    };
    assert!(root(32, 1000) && !root(33, 1) && !root(1, 2049));
    let member: Member =
        serde_json::from_value(json!({ "nodeID": "node-1", "chain": "x".repeat(5000) })).unwrap();
    assert_eq!(member.validate().unwrap_err().field, "chain");
    let revoke = json!({ "publicKey": key, "name": "node-1", "reason": "x".repeat(257) });
    assert_eq!(serde_json::from_value::<Revoke>(revoke).unwrap().validate().unwrap_err().field, "reason");
    let issuer = json!({ "nodeID": "node-1", "publicKey": key, "certificate": "x".repeat(2049) });
    assert_eq!(
        serde_json::from_value::<Issuer>(issuer).unwrap().validate().unwrap_err().field,
        "certificate"
    );
    serde_json::from_value::<Drain>(json!({ "nodeID": "node-1" })).unwrap().validate().unwrap();
}

#[test]
fn a_constraint_lists_values_or_excludes_them() {
    let labels = |text: &str| -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let holds = |name, values, node| Constraint::of(name, values).holds(&labels(node));
    assert!(holds("zone", "a", "zone=a gpu=no") && !holds("zone", "a", "zone=b") && !holds("zone", "a", ""));
    assert!(holds("zone", "a,b", "zone=b") && !holds("zone", "a,b", "zone=c"));
    assert!(holds("gpu!", "no", "gpu=yes") && holds("gpu!", "no", "") && !holds("gpu!", "no", "gpu=no"));
    assert!(!holds("gpu!", "no,old", "gpu=old"));
    assert_eq!(Constraint::of("gpu!", "no,old").to_string(), "gpu!=no,old");
}

#[test]
fn constraints_and_labels_that_cannot_be_meant_are_refused_in_words() {
    let refused = |name: &str, value: &str| {
        let mut plan = plan(minimal());
        plan.constraints.insert(name.into(), value.into());
        plan.validate().map_err(|wrong| wrong.to_string())
    };
    refused("zone", "eu-1,eu-2").unwrap();
    refused("gpu!", "no").unwrap();
    for (name, value, why) in [
        ("zone", "a,,b", "zone=a,,b: a value is empty"),
        ("zone", "", "zone=: a value is empty"),
        ("zone", "!a", "zone=!a: to exclude a value, write zone!=a"),
        ("zone", "=a", "zone==a: \"=a\" is not a value"),
        ("!", "a", "!=a: a label has a name"),
        ("a b", "a", "a b=a: a name is of letters"),
        ("zone", "a b", "is not a value: it holds a space"),
    ] {
        let said = refused(name, value).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    let node = |labels: serde_json::Value| -> Node {
        let capacity = json!({ "cpu_milli": 1, "memory_mb": 1 });
        serde_json::from_value(json!({ "nodeID": "node-1", "capacity": capacity, "labels": labels })).unwrap()
    };
    node(json!({ "zone": "eu-1", "mesh.io/gpu": "yes" })).validate().unwrap();
    assert!(node(json!({ "z".repeat(300): "a" })).validate().is_err());
    check_label("zone", "eu-1").unwrap();
    assert!(
        check_label("zone", "a,b").is_err()
            && check_label("zone!", "a").is_err()
            && check_label("", "a").is_err()
    );
}

#[test]
fn rules_identities_and_what_is_said_of_a_plan_are_bounded() {
    let policy = |name: &str, rego: &str| {
        let read = serde_json::from_value::<Policy>(json!({ "name": name, "rego": rego }));
        read.is_ok_and(|policy| policy.validate().is_ok())
    };
    assert!(policy("owners", "package mesh.admission") && policy("a", &"x".repeat(48 * 1024)));
    assert!(
        !policy("owners", " \n") && !policy("owners", &"x".repeat(48 * 1024 + 1)) && !policy("Owners", "x")
    );
    let identity = |identity: &str, root: &str| {
        let value = json!({ "name": "ci", "identity": identity, "issuer": "https://a", "trustedRoot": root });
        serde_json::from_value::<Identity>(value).unwrap().validate().map_err(|invalid| invalid.field)
    };
    assert_eq!(identity("ada@example.com", "{}"), Ok(()));
    assert_eq!((identity("", "{}"), identity("a\nb", "{}")), (Err("identity"), Err("identity")));
    assert_eq!(identity("a", ""), Err("trustedRoot"));
    assert_eq!(identity("a", &"x".repeat(48 * 1024 + 1)), Err("trustedRoot"));
    let mut labelled = plan(minimal());
    labelled.labels.insert("owner".into(), "ada".into());
    labelled.validate().unwrap();
    labelled.labels.insert("owner".into(), "x".repeat(300));
    assert_eq!(labelled.validate().unwrap_err().field, "labels");
}

#[test]
fn sizes_and_what_is_learned_are_bounded_and_no_part_of_a_revision() {
    let sized = |size: serde_json::Value| {
        let mut value = minimal();
        value["size"] = size;
        serde_json::from_value::<Plan>(value)
    };
    let auto = sized(json!("auto")).unwrap();
    auto.validate().unwrap();
    assert_eq!(auto.size, Some(Size::Auto));
    assert_eq!(auto.release.revision(), plan(minimal()).release.revision());
    let Some(Size::Fixed(fixed)) = sized(json!({ "fixed": { "memory_mb": 64 } })).unwrap().size else {
        panic!("it is fixed")
    };
    assert_eq!(
        fixed.over(Nutrients { cpu_milli: 5, memory_mb: 9 }),
        Nutrients { cpu_milli: 5, memory_mb: 64 }
    );
    assert!(sized(json!({ "fixed": { "cpu_milli": 0 } })).unwrap().validate().is_err());
    assert!(sized(json!({ "fixed": { "memory_mb": u64::MAX } })).unwrap().validate().is_err());
    assert!(sized(json!("much")).is_err());

    let learned = |needs: serde_json::Value| {
        let value = json!({ "nodeID": "node-1", "appName": "billing", "needs": needs });
        serde_json::from_value::<Learned>(value).unwrap().validate().map_err(|invalid| invalid.to_string())
    };
    let need =
        |digit: &str, memory: serde_json::Value| json!({ "digest": digit.repeat(64), "memory_mb": memory });
    learned(json!([need("0", json!([[1, 5], [39, 7]])), need("1", json!([]))])).unwrap();
    let too_many: Vec<(u16, u64)> = (0..25).map(|at| (at, 1)).collect();
    for (needs, why) in [
        (json!([need("0", json!([])), need("0", json!([]))]), "twice"),
        (json!((0..5).map(|n| need(&n.to_string(), json!([]))).collect::<Vec<_>>()), "more than 4"),
        (json!([need("0", json!([[7, 1], [7, 1]]))]), "don't rise"),
        (json!([need("0", json!([[400, 1]]))]), "from 400 on"),
        (json!([need("0", json!([[3, u64::MAX]]))]), "weight over"),
        (json!([need("0", json!(too_many))]), "more than 24"),
        (json!([{ "digest": "0".repeat(64), "samples": u64::MAX }]), "samples"),
    ] {
        let said = learned(needs).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}
