//! How fast records are taken: `cargo run --release -p fabric --example fabric_speed`.
//!
//! Without a disk: what is measured is signing, checking, ordering, showing.

#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::time::{Duration, Instant};

use ed25519_dalek::{Signer as _, SigningKey};
use fabric::{Authority, Config, Fabric, MeshId, Record};
use genome::{Endpoint, Plan};
use serde_json::json;
use types::{PublicKey, SignError, Signature, Signer, Timestamp};

/// Records of each kind.
const COUNT: u32 = 5_000;

struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).expect("a key")
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fn main() {
    let (operator, node) = (Key(SigningKey::from_bytes(&[1; 32])), Key(SigningKey::from_bytes(&[2; 32])));
    let mesh = MeshId::from_bytes([5; 32]);
    let name = "node-1".parse().expect("a name");
    let authority = Authority {
        operators: [operator.public_key()].into(),
        nodes: [(name, node.public_key())].into(),
        roots: None,
    };
    let now = Timestamp::from_secs(1_800_000_000);
    let config = || Config { mesh, authority: authority.clone(), journal: None };
    let (fabric, _) = Fabric::new(config(), [], now).expect("no disk, no error");

    let plan = |n: u32| {
        let plan = json!({ "appName": format!("app-{n}"), "digest": "0".repeat(64), "min": 1, "max": 1 });
        serde_json::from_value::<Plan>(plan).expect("a plan")
    };
    let plans: Vec<Record> =
        (0..COUNT).map(|n| Record::plan(mesh, 1, &plan(n), &operator).expect("a record")).collect();
    let start = Instant::now();
    for record in &plans {
        fabric.submit(record.clone(), now).expect("taken");
    }
    report("plans taken", COUNT, start.elapsed());

    let (other, _) = Fabric::new(config(), [], now).expect("no disk, no error");
    let start = Instant::now();
    other.merge(plans, now);
    report("plans merged", COUNT, start.elapsed());

    let endpoint = |n: u32| {
        let endpoint = json!({
            "appName": format!("app-{}", n % 8), "nodeID": "node-1", "replica": format!("r-{}", n % 200), "slot": 0,
            "digest": "0".repeat(64), "revision": "0", "state": "ready", "restarts": n,
            "since": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value::<Endpoint>(endpoint).expect("an endpoint")
    };
    let endpoints: Vec<Endpoint> = (0..COUNT).map(endpoint).collect();
    let start = Instant::now();
    for endpoint in &endpoints {
        fabric.register_endpoint(endpoint, &node, now).expect("taken");
        std::hint::black_box(fabric.view());
    }
    report("endpoints signed, taken, looked at (200 there)", COUNT, start.elapsed());
}

fn report(what: &str, count: u32, time: Duration) {
    println!("{:>8.1?} each, {:>7.0}/s: {what}", time / count, f64::from(count) / time.as_secs_f64());
}
