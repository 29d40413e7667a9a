//! What release 0.1 writes, byte for byte, in a file that only grows: records of each kind, messages of each kind, and
//! answers to questions. Every later release reads it, and answers as it did.
//!
//! `FREEZE=1 cargo test -p fabric release` adds lines for what is new; a line that stands there is never changed.

use std::collections::BTreeMap;

use genome::{
    Budget, Credit, Demand, Drain, Fixed, Gift, Identity, Learned, Need, Node, Observed, Policy, Scale, Size,
    Trust,
};
use negentropy::{Negentropy, NegentropyStorageVector};
use types::{Aggregate, Digest, Metric, Nutrients};

use super::*;
use crate::net::envelope::{Message, Opened};
use crate::testing::papers::{
    self, ISSUERS, NEW_ROOT, NODES, OPERATORS, endpoint_by, issuer_by, key, member, new_roots, operator,
    plan_by, public, revoke, root_change,
};
use crate::{Core, Draft, Kind, Order, Record, RecordName};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/0.1.txt");

/// A node's own record of a kind, with this payload.
fn own(kind: &str, name: &str, sequence: u64, payload: impl serde::Serialize) -> Record {
    let (node, order) = (node_name("node-1"), Order::sequence(1, sequence));
    let draft = Draft::of_node(papers::mesh(), kind.parse().unwrap(), node, name.parse().unwrap(), order);
    draft.value(&payload).unwrap().sign(&key(NODES[0])).unwrap()
}

/// An operator's record of a kind, with this payload.
fn ordered(kind: &str, name: &str, payload: impl serde::Serialize) -> Record {
    let draft = Draft::of_operator(papers::mesh(), kind.parse().unwrap(), name.parse().unwrap(), 3);
    draft.value(&payload).unwrap().sign(&key(OPERATORS[0])).unwrap()
}

/// One record of each kind, those of later releases included.
fn records() -> Vec<(&'static str, Record)> {
    let billing = crate::testing::app("billing");
    let budget = Budget { app_name: billing.clone(), max_instances: 3, cpu_milli: 1_000, memory_mb: 512 };
    let node = Node {
        node_id: node_name("node-1"),
        host: "rack-1".into(),
        capacity: Nutrients { cpu_milli: 4_000, memory_mb: 8_000 },
        labels: [("zone".into(), "a".into())].into(),
        addresses: vec!["10.0.0.1:7433".into()],
        version: "0.1.0".into(),
        pressure: genome::Pressure::None,
    };
    let observed = Observed { node_id: node_name("node-1"), app_name: billing, failed: None };
    let trust = Trust { public_key: public(40), comment: "somebody".into() };
    let rego = "package mesh.admission\ndeny contains \"no\" if not input.plan.labels.owner\n";
    let policy = Policy { name: crate::testing::app("owners"), rego: rego.into() };
    let identity = Identity {
        name: crate::testing::app("ci"),
        identity: "https://ci.example/acme/billing".into(),
        issuer: "https://ci.example".into(),
        trusted_root: "{}".into(),
    };
    let mut later = serde_json::to_value(crate::testing::plan("web", 2)).unwrap();
    later["release"]["gpu"] = 1.into();
    later["of later"] = serde_json::json!({ "unknown": [true, null] });
    let name = RecordName::of_app(&crate::testing::app("old"));
    let removal = Record::remove(papers::mesh(), Kind::Plan, name, 5, now(), &key(OPERATORS[0])).unwrap();
    let of_key = RecordName::of_key(&public(40));
    vec![
        ("operator", operator(OPERATORS[0])),
        ("issuer", issuer_by(papers::ROOT, ISSUERS[0], 1)),
        ("revoke", revoke(NODES[2], 1, OPERATORS[0])),
        ("member", member(ISSUERS[0], NODES[0], "node-1", 0, 1)),
        ("plan", plan_by(OPERATORS[0], "billing", 2, 3)),
        ("plan-with-fields-of-later", ordered("plan", "web", later)),
        ("removal", removal),
        ("budget", ordered("budget", "billing", budget)),
        ("trust", ordered("trust", of_key.as_str(), trust)),
        ("drain", ordered("drain", "node-2", Drain { node_id: node_name("node-2") })),
        ("endpoint", endpoint_by(NODES[0], "node-1", "billing-7f3a2", 2)),
        ("node", own("node", "node-1", 3, node)),
        ("observed", own("observed", "billing/node-1", 4, observed)),
        ("of-later-by-operator", ordered("volume", "data", serde_json::json!({ "size_mb": 7 }))),
        ("of-later-by-node", own("mount", "data/node-1", 5, serde_json::json!({ "at": "/data" }))),
        ("root", root_change(&new_roots(), &[], 1, NEW_ROOT)),
        ("policy", ordered("policy", "owners", policy)),
        ("identity", ordered("identity", "ci", identity)),
    ]
}

/// Records of kinds that came after it: frozen too, but not what the node holds, or its answers would be others.
fn later_records() -> Vec<(&'static str, Record)> {
    let demand = Demand {
        node_id: node_name("node-1"),
        app_name: crate::testing::app("billing"),
        revision: crate::testing::plan("billing", 1).release.revision(),
        need_milli: 3_500,
        metric_milli: Some(1_000),
        rate_milli: 120_000,
        pace_milli: 34_300,
        in_flight: 7,
        p99_ms: 80,
        slow_permille: 2,
    };
    let mut scaled = crate::testing::plan("web", 2);
    let metric =
        Metric { metric: "jobs".into(), path: "/metrics".into(), target: 10, aggregate: Aggregate::Max };
    scaled.scale = Some(Scale { p99_budget_ms: Some(300), metric: Some(metric), ..Scale::default() });
    let credit = Credit {
        node_id: node_name("node-1"),
        app_name: crate::testing::app("billing"),
        life: 1_800_000_000_000,
        earned: 90_000_000,
        spent: 30_000_000,
        given: [(node_name("node-2"), Gift { life: 1_800_000_000_001, micros: 7 })].into(),
        taken: [(node_name("node-3"), Gift { life: 1_800_000_000_002, micros: 8 })].into(),
    };
    let need = Need {
        digest: Digest::of(b"web v1"),
        cpu_milli: vec![(9, 12_000), (40, 600)],
        memory_mb: vec![(39, 3_000), (61, 1_000)],
        ready_ms: vec![(70, 1_000)],
        samples: 1_800,
        observed_s: 1_801,
        enough_permille: 1_000,
        oom_kills: 1,
    };
    let learned =
        Learned { node_id: node_name("node-1"), app_name: crate::testing::app("billing"), needs: vec![need] };
    let (mut auto, mut fixed) = (crate::testing::plan("web", 2), crate::testing::plan("web", 2));
    auto.size = Some(Size::Auto);
    fixed.size = Some(Size::Fixed(Fixed { cpu_milli: None, memory_mb: Some(96) }));
    vec![
        ("credit", own("credit", "billing/node-1", 7, credit)),
        ("demand", own("demand", "billing/node-1", 6, demand)),
        ("learned", own("learned", "billing/node-1", 8, learned)),
        ("plan-that-scales", ordered("plan", "web", scaled)),
        ("plan-that-learns", ordered("plan", "web", auto)),
        ("plan-with-a-size", ordered("plan", "web", fixed)),
    ]
}

/// A node of the release that holds all of them but the change of the root and kinds added since, and knows one other.
fn holder() -> Side {
    let nodes = [(node_name("node-1"), public(NODES[0])), (node_name("node-2"), public(NODES[1]))].into();
    let mut core = Core::new(papers::mesh(), Authority { nodes, ..papers::authority() }, now());
    for (name, record) in
        records().into_iter().filter(|(name, _)| !matches!(*name, "root" | "policy" | "identity"))
    {
        papers::give(&mut core, &record).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let config = Config {
        id: public(NODES[0]).into(),
        name: node_name("node-1"),
        addresses: vec![([10, 0, 0, 1], 7433).into()],
        generation: now().as_millis(),
        seed: [1; 32],
    };
    let mut side = Side { net: Net::new(config, Duration::ZERO), core, woken: None };
    let other = Peer::new(public(NODES[1]).into(), now().as_millis(), node_name("node-2"), Vec::new());
    let members = vec![foca::Member::alive(other)];
    ask(&mut side, Message::Members { of: 1, back: Vec::new(), members }.encode());
    side
}

/// What the node sends in answer to the other, of the kinds that answer questions.
fn ask(side: &mut Side, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let from = public(NODES[1]).into();
    let outputs = side.step(Input::Received { from, class: Class::Reliable, bytes }, Duration::from_secs(1));
    let answers = outputs.into_iter().filter_map(|output| match output {
        Output::Send { bytes, .. } if bytes[1] != 1 => Some(bytes),
        _ => None,
    });
    answers.collect()
}

fn questions() -> Vec<(&'static str, Message)> {
    let (plan, node) = (records()[4].1.id(), records()[11].1.id());
    let mut empty = NegentropyStorageVector::new();
    empty.seal().unwrap();
    let body = Negentropy::owned(empty, 32 * 1024).unwrap().initiate().unwrap();
    vec![
        ("digest", Message::Digest(vec![7])),
        ("query", Message::Query { session: 9, body }),
        ("want", Message::Want { session: 9, ids: vec![plan, node, Digest::of(b"not here")] }),
        ("graft", Message::Graft(vec![plan])),
        ("stayed", Message::AskStayed { session: 9 }),
    ]
}

/// Everything there is to freeze, each with what it is called.
fn today() -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<(String, Vec<u8>)> = Vec::new();
    lines.extend(
        records()
            .into_iter()
            .chain(later_records())
            .map(|(name, record)| (format!("record {name}"), record.encode())),
    );
    let messages = forms::samples();
    lines.extend(messages.iter().map(|one| (format!("message {}", one.encode()[1]), one.encode())));
    for (name, question) in questions() {
        lines.push((format!("question {name}"), question.encode()));
        for (count, answer) in ask(&mut holder(), question.encode()).into_iter().enumerate() {
            lines.push((format!("answer {name} {count}"), answer));
        }
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file, by what its lines are called.
fn frozen() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let line = |line: &str| {
        let (name, hex) = line.rsplit_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name.to_owned(), (0..hex.len()).step_by(2).map(byte).collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn what_a_release_wrote_is_written_the_same() {
    let mut known = frozen();
    let today = today();
    if std::env::var("FREEZE").is_ok() {
        let new = today.iter().filter(|(name, _)| !known.contains_key(name));
        let lines: String = new.map(|(name, bytes)| format!("{name} {}\n", hex(bytes))).collect();
        let text = std::fs::read_to_string(FILE).unwrap_or_default() + &lines;
        std::fs::write(FILE, text).unwrap();
        known = frozen();
    }
    assert_eq!(known.len(), today.len(), "what is new is frozen with FREEZE=1; nothing is taken out");
    for (name, bytes) in today {
        assert!(known.get(&name) == Some(&bytes), "{name} is another: nodes of this release can't follow");
    }
}

#[test]
fn what_a_release_wrote_is_read() {
    let frozen = frozen();
    let of = |what: &'static str| frozen.iter().filter(move |(name, _)| name.starts_with(what));
    for (name, bytes) in of("record ") {
        let record = Record::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&record.encode(), bytes);
        record.verify(&papers::mesh()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(of("record ").count() >= 16 && of("message ").count() >= 11);
    for (name, bytes) in of("message ").chain(of("question ")).chain(of("answer ")) {
        match Message::decode(bytes) {
            Ok(Opened::Message(message)) => assert_eq!(&message.encode(), bytes),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// A store takes, keeps and gives on what it doesn't understand, as the bytes that were signed; a message of a kind
/// or version of later is passed over, and nobody is blamed.
#[test]
fn what_is_of_later_is_carried() {
    let frozen = frozen();
    let mut side = holder();
    let ids: BTreeMap<Digest, &Vec<u8>> = frozen
        .iter()
        .filter(|(name, _)| name.contains("of-later"))
        .map(|(_, bytes)| (Record::decode(bytes).unwrap().id(), bytes))
        .collect();
    assert_eq!(ids.len(), 3);
    let want = Message::Want { session: 9, ids: ids.keys().copied().collect() };
    let mut given: Vec<Vec<u8>> = ask(&mut side, want.encode()).iter().flat_map(|one| carried(one)).collect();
    let mut signed: Vec<Vec<u8>> = ids.into_values().cloned().collect();
    given.sort();
    signed.sort();
    assert_eq!(given, signed);
    for bytes in [vec![1, 14, 1, 2, 3], vec![2, 1], vec![255, 255]] {
        assert!(ask(&mut side, bytes).is_empty());
    }
    assert_eq!((side.net.counters().unknown, side.net.counters().refused), (3, 0));
}
