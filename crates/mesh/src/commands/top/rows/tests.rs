use super::*;

fn usage(node: &str, replicas: &[(&str, &str, u64, Option<u64>)]) -> NodeUsage {
    let replicas = replicas.iter().map(|(app, replica, cpu, limit)| {
        serde_json::from_value(serde_json::json!({
            "replica": replica, "appName": app, "pid": 7, "ready": true,
            "nutrients": { "cpu_milli": 250, "memory_mb": 64 }, "weight_milli": 250,
            "cpu_milli": cpu, "memory": 60 << 20, "memory_limit": limit, "pids": 3,
        }))
        .unwrap()
    });
    let apps = serde_json::json!([{
        "appName": "api", "baseline_milli": 250, "used_milli": 1, "credits_us": 90_000_000, "cap_us": 150_000_000,
        "weight_milli": 500, "bursts": true,
    }]);
    NodeUsage {
        node: NodeName::new(node).unwrap(),
        at: Some(Timestamp::from_secs(7)),
        unknown: None,
        capacity: None,
        apps: serde_json::from_value(apps).unwrap(),
        replicas: replicas.collect(),
    }
}

fn mesh() -> Vec<NodeUsage> {
    let limit = Some(64 << 20);
    let silent = NodeUsage {
        unknown: Some("this node does not answer".into()),
        at: None,
        apps: Vec::new(),
        ..usage("node-3", &[])
    };
    vec![
        usage("node-1", &[("api", "api-aaaaa", 300, limit), ("web", "web-bbbbb", 1999, None)]),
        usage("node-2", &[("api", "api-ccccc", 100, limit)]),
        silent,
    ]
}

#[test]
fn each_way_to_look_at_it() {
    let out = Out::new(crate::out::Colour::Never, true);
    let text = |by, sort| table(&out, &rows(&mesh(), by, sort), by);
    insta::assert_snapshot!("by_replica", text(By::Replica, Sort::Cpu));
    insta::assert_snapshot!("by_app", text(By::App, Sort::Name));
    insta::assert_snapshot!("by_node", text(By::Node, Sort::Mem));
}

#[test]
fn one_without_a_limit_leaves_the_sum_without_one() {
    let of_node = rows(&mesh(), By::Node, Sort::Name);
    assert_eq!(of_node[0].memory_limit, None);
    assert_eq!(of_node[1].memory_limit, Some(64 << 20));
    assert_eq!((of_node[2].replicas, of_node[2].cpu_milli), (0, None));
}
