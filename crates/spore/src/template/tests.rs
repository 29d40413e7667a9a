use super::*;

fn template(json: &str) -> Template {
    Template::from_slice(json.as_bytes()).unwrap()
}

const SMALL: &str = r#"{"kind":"Spore","name":"billing","version":"v0.1.0","command":"billing"}"#;

#[test]
fn what_is_left_out_is_written_out() {
    let small = template(SMALL);
    assert_eq!(small.provides(), [Provides::Http]);
    assert_eq!(small.workload(), Workload::Service);
    for field in ["args", "env", "provides", "nutrients", "slo", "security"] {
        assert!(small.document().contains_key(field), "{field}");
    }
    let job = template(r#"{"kind":"Spore","name":"a","version":"v1","command":"a","workload":"job"}"#);
    assert!(job.provides().is_empty());
}

#[test]
fn what_a_replica_may_use_is_said_or_left_to_the_node() {
    let plain = template(SMALL);
    assert_eq!(plain.document()["nutrients"], json!({ "cpu_milli": 100, "memory_mb": 64 }));
    let said = SMALL.replace('}', r#","nutrients":{"cpu_milli":1,"memory_mb":2,"pids":3,"open_files":16}}"#);
    let needs = template(&said).shape.nutrients;
    assert_eq!(
        (needs.pids, needs.open_files, needs.io_weight, needs.log_mb),
        (Some(3), Some(16), None, None)
    );
}

#[test]
fn integrity_fields_of_a_template_do_not_count() {
    let with = SMALL
        .replace('}', r#","binary_sha256":"<hex>","signature":"<base64>","public_key":"","created_at":1}"#);
    assert_eq!(template(&with), template(SMALL));
}

#[test]
fn setters_change_what_is_signed() {
    let mut small = template(SMALL);
    small.set_version("v0.1.0-af64f9a");
    small.set_env("GREETING", "hi");
    small.set_args(vec!["-v".to_owned()]);
    small.set("resources", json!({ "gpu": 1 })).unwrap();
    assert_eq!(small.version(), "v0.1.0-af64f9a");
    assert_eq!(small.document()["env"], json!({ "GREETING": "hi" }));
    assert_eq!(small.document()["args"], json!(["-v"]));
    assert_eq!(small.document()["resources"], json!({ "gpu": 1 }));
    assert!(small.set("workload", json!("pod")).is_err());
    assert_eq!(small.workload(), Workload::Service, "a refused change changes nothing");
}
