//! What a workload finds in its environment: little of the machine's, then its own, then the mesh's.

use std::collections::BTreeMap;

use types::NodeName;

use crate::core::Launch;

/// What of the machine's environment a workload gets; nothing else of it reaches one.
const PASSED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// The variables in order: passed from the machine, what is `told` of a collector, the manifest's, the plan's over them, and the mesh's own,
/// which nobody overrides.
pub(crate) fn environment(
    machine: &[(String, String)],
    told: Vec<(String, String)>,
    manifest: &BTreeMap<String, String>,
    plan: &BTreeMap<String, String>,
    launch: &Launch,
    node: &NodeName,
    edge: &str,
) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> =
        machine.iter().filter(|(name, _)| PASSED.contains(&name.as_str())).cloned().collect();
    all.extend(told);
    all.extend(manifest.iter().chain(plan).map(|(name, value)| (name.clone(), value.clone())));
    let mut own = vec![
        ("MESH_APP", launch.app.to_string()),
        ("MESH_NODE", node.to_string()),
        ("MESH_REPLICA", launch.id.replica.to_string()),
        ("MESH_VERSION", launch.version.clone()),
        ("MESH_EDGE", edge.to_owned()),
    ];
    if launch.port != 0 {
        own.push(("PORT", launch.port.to_string()));
    }
    all.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Workload;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_plan_overrides_the_manifest_and_nobody_the_mesh() {
        let launch: Launch = serde_json::from_value(serde_json::json!({
            "replica": "billing-abcde", "attempt": 1, "app": "billing", "slot": 0, "revision": "r",
            "digest": "0".repeat(64), "version": "v1", "workload": Workload::Service, "fixed_port": 0,
            "port": 7777, "restarts": 0, "provides": [], "check": null, "health_ms": 0, "grace_ms": 0,
        }))
        .unwrap();
        let machine: Vec<_> =
            pairs(&[("PATH", "/bin"), ("SECRET", "x"), ("LANG", "C")]).into_iter().collect();
        let told = vec![("OTEL_SERVICE_NAME".to_owned(), "billing".to_owned())];
        let manifest = pairs(&[("GREETING", "hi"), ("PORT", "1"), ("LANG", "de")]);
        let plan = pairs(&[("GREETING", "hello"), ("MESH_NODE", "elsewhere")]);
        let node = NodeName::new("node-1").unwrap();
        let found = environment(&machine, told, &manifest, &plan, &launch, &node, "http://127.0.0.1:8080");
        let expected = pairs(&[
            ("GREETING", "hello"),
            ("LANG", "de"),
            ("MESH_APP", "billing"),
            ("MESH_EDGE", "http://127.0.0.1:8080"),
            ("MESH_NODE", "node-1"),
            ("MESH_REPLICA", "billing-abcde"),
            ("MESH_VERSION", "v1"),
            ("OTEL_SERVICE_NAME", "billing"),
            ("PATH", "/bin"),
            ("PORT", "7777"),
        ]);
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}
