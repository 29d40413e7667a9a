use fabric::{Authority, Fabric, MeshId, Record};
use genome::{Endpoint, Plan, Release};
use serde_json::json;
use types::{Digest, Signer as _, Timestamp};

use super::*;

#[test]
fn who_is_drained_leaves_a_table_that_has_its_successor() {
    let (operator, key) = (soul::SecretKey::generate().unwrap(), soul::SecretKey::generate().unwrap());
    let (app, node) = (AppName::new("billing").unwrap(), NodeName::new("node-1").unwrap());
    let now = Timestamp::from_secs(1);
    let authority = Authority {
        operators: [operator.public_key()].into(),
        nodes: [(node.clone(), key.public_key())].into(),
        ..Authority::default()
    };
    let set_up = fabric::Config { mesh: MeshId::from_bytes([5; 32]), authority, journal: None };
    let (fabric, _) = Fabric::new(set_up, [], now).unwrap();
    let digest = Digest::from_bytes([7; 32]);
    let release: Release = serde_json::from_value(json!({ "digest": digest })).unwrap();
    let plan = Plan::new(app.clone(), release, 1);
    fabric.publish_plan(Record::plan(fabric.mesh(), 1, &plan, &operator).unwrap(), now).unwrap();
    let ready = |replica: &str, port: u16| {
        let endpoint: Endpoint = serde_json::from_value(json!({
            "appName": app, "nodeID": node, "replica": replica, "slot": 0, "digest": digest,
            "revision": plan.release.revision(), "state": "ready", "provides": ["http"],
            "url": format!("http://127.0.0.1:{port}"), "since": now,
        }))
        .unwrap();
        fabric.register_endpoint(&endpoint, &key, now).unwrap();
    };
    let edge = Edge::new(edge::Config::default());
    let routing = Arc::new(Routing::new(fabric.clone(), edge.clone(), crate::tunnel::Ways::alone()));
    let traffic = EdgeTraffic { edge: edge.clone(), routing: routing.clone(), tunnels: None };

    ready("billing-blue", 1);
    routing.catch_up();
    ready("billing-green", 2);
    // Nothing follows the records here, as nothing may have when an agent is quick.
    drop(traffic.drained(&app, &node, &ReplicaName::new("billing-blue").unwrap()));
    assert_eq!(edge.routes().apps(), [(app, 2)].into());
}
