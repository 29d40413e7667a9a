use std::os::unix::fs::PermissionsExt as _;

use genome::Release;
use serde_json::{Value, json};
use spore::{Source, Template, pack};
use tempfile::TempDir;
use types::{AppName, Digest, Nutrients, SignError, Signature, Signer, Timestamp};

use super::*;
use crate::admission::Anything;

struct Fixture {
    dir: TempDir,
    repo: repo::Repo,
    digest: Digest,
    key: PublicKey,
}

fn node() -> Node {
    let capacity = json!({ "cpu_milli": 1, "memory_mb": 1 });
    serde_json::from_value(json!({ "nodeID": "node-1", "capacity": capacity, "labels": { "zone": "a" } }))
        .unwrap()
}

struct Key(soul::SecretKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        self.0.sign(message)
    }
}

fn template() -> Value {
    json!({
        "kind": "Spore", "name": "billing", "version": "v1", "command": "billing", "args": ["a"],
        "env": { "GREETING": "hi" }, "provides": ["http"],
        "nutrients": { "cpu_milli": 200, "memory_mb": 128 }, "slo": { "p99_budget_ms": 300 },
        "security": { "lsm_profile": "demo", "read_only_fs": false },
    })
}

fn fixture(change: impl Fn(&mut Value)) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut document = template();
    change(&mut document);
    let binary = dir.path().join("binary");
    std::fs::write(&binary, "#!/bin/sh\n").unwrap();
    let keys = soul::KeyStore::open(&dir.path().join("keys")).unwrap();
    let (key, _) = keys.ensure("publisher").unwrap();
    let key = Key(key);
    let template = Template::from_slice(&serde_json::to_vec(&document).unwrap()).unwrap();
    let source = Source { binary: &binary, files: Vec::new(), created_at: Timestamp::from_secs(1) };
    let mut bytes = std::io::Cursor::new(Vec::new());
    pack(&template, &source, &key, &mut bytes).unwrap();
    let repo = repo::Repo::open(dir.path().join("repo")).unwrap();
    let (digest, _) = repo.put(bytes.into_inner().as_slice()).unwrap();
    Fixture { repo, digest, key: key.public_key(), dir }
}

impl Fixture {
    fn wanted(&self) -> Assignment {
        let release = Release {
            digest: self.digest,
            version: "v1".into(),
            workload: Workload::Service,
            nutrients: Nutrients { cpu_milli: 200, memory_mb: 128 },
            port: 0,
            env: Default::default(),
            restart: 0,
            profile: None,
            reach: Vec::new(),
            settings: Default::default(),
        };
        Assignment {
            app: AppName::new("billing").unwrap(),
            slot: 0,
            revision: release.revision(),
            each: release.nutrients,
            release,
            generation: 1,
            watched: false,
            warmup: Duration::ZERO,
            grace: Duration::ZERO,
        }
    }

    fn prepare(&self, wanted: &Assignment, trusted: bool) -> Result<Prepared, Unprepared> {
        self.prepare_by(wanted, trusted, &Anything)
    }

    fn prepare_by(
        &self,
        wanted: &Assignment,
        trusted: bool,
        admission: &dyn Admission,
    ) -> Result<Prepared, Unprepared> {
        let search = self.dir.path().join("bin");
        prepare(&Order {
            wanted,
            repo: &self.repo,
            trusts: &move |_| Ok(trusted),
            admission,
            node: &node(),
            settings: &nothing_set(),
            into: &self.dir.path().join("run"),
            search: search.to_str().unwrap(),
            profiles: self.dir.path(),
            layers: &whole(),
        })
    }

    fn left_nothing(&self) -> bool {
        !self.dir.path().join("run").exists()
    }
}

/// A machine that can confine anything.
fn whole() -> Layers {
    Layers { room: Ok(()), user: Ok(()), landlock: Ok(7), reach: Ok(()), network: Ok(()) }
}

fn nothing_set() -> Opener {
    let mesh = types::MeshId::from_bytes([5; 32]);
    Opener { mesh, view: Default::default(), custodians: Vec::new() }
}

fn refused(result: Result<Prepared, Unprepared>) -> String {
    match result {
        Err(Unprepared::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trusted_spore_that_is_what_the_plan_says_is_extracted() {
    let fixture = fixture(|_| ());
    let prepared = fixture.prepare(&fixture.wanted(), true).unwrap();
    let facts = prepared.facts();
    assert_eq!((facts.version.as_str(), facts.health), ("v1", Duration::from_secs(6)));
    assert_eq!(facts.check, Some(Check::Http("/health".into())));
    assert!(prepared.extracted.program.is_file());
    std::fs::write(prepared.extracted.dir.join("leftover"), "x").unwrap();
    let again = fixture.prepare(&fixture.wanted(), true).unwrap();
    assert!(!again.extracted.dir.join("leftover").exists(), "every launch begins with what was signed");
}

#[test]
fn an_unknown_publisher_is_named_with_the_command_that_trusts_it() {
    let fixture = fixture(|_| ());
    let reason = refused(fixture.prepare(&fixture.wanted(), false));
    assert!(reason.contains(&fixture.key.fingerprint().to_string()), "{reason}");
    assert!(reason.ends_with(&format!("mesh trust add {}", fixture.key)), "{reason}");
    assert!(fixture.left_nothing());
}

#[test]
fn a_spore_that_is_not_what_the_plan_says_is_refused_with_the_difference() {
    let fixture = fixture(|_| ());
    for (change, expected) in [
        (
            (|wanted: &mut Assignment| wanted.app = AppName::new("other").unwrap()) as fn(&mut Assignment),
            "the plan says app other, its spore says billing",
        ),
        (|wanted| wanted.release.version = "v2".into(), "the plan says version v2, its spore says v1"),
        (
            |wanted| wanted.release.workload = Workload::Job,
            "the plan says workload job, its spore says service",
        ),
        (
            |wanted| wanted.release.nutrients.memory_mb = 1,
            "the plan says nutrients 200 cpu_milli, 1 memory_mb, its spore says 200 cpu_milli, 128 memory_mb",
        ),
    ] {
        let mut wanted = fixture.wanted();
        change(&mut wanted);
        let reason = refused(fixture.prepare(&wanted, true));
        assert!(reason.starts_with(expected), "{reason}");
        assert!(fixture.left_nothing());
    }
}

#[test]
fn a_plan_that_does_not_say_the_version_takes_the_spores() {
    let fixture = fixture(|_| ());
    let mut wanted = fixture.wanted();
    wanted.release.version.clear();
    assert_eq!(fixture.prepare(&wanted, true).unwrap().facts().version, "v1");
}

#[test]
fn a_missing_spore_may_come_and_a_damaged_one_does_not_get_better() {
    let fixture = fixture(|_| ());
    let mut wanted = fixture.wanted();
    wanted.release.digest = Digest::of(b"another");
    assert!(matches!(fixture.prepare(&wanted, true), Err(Unprepared::Missing(reason))
        if reason.contains("is not in the repository; publish it with: mesh publish")));
    let path = fixture.repo.path(&fixture.digest).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&path, bytes).unwrap();
    refused(fixture.prepare(&fixture.wanted(), true));
    assert!(fixture.left_nothing());
}

#[test]
fn an_interpreter_is_found_in_path_or_its_absence_is_said() {
    let fixture = fixture(|document| document["interpreter"] = json!("mylang -x -y"));
    let reason = refused(fixture.prepare(&fixture.wanted(), true));
    assert!(reason.starts_with("its interpreter \"mylang\" is not installed on this node"), "{reason}");
    let folder = fixture.dir.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mylang"), "").unwrap();
    refused(fixture.prepare(&fixture.wanted(), true));
    std::fs::set_permissions(folder.join("mylang"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let prepared = fixture.prepare(&fixture.wanted(), true).unwrap();
    assert_eq!(prepared.interpreter, Some((folder.join("mylang"), vec!["-x".into(), "-y".into()])));
}

#[test]
fn what_cannot_be_told_of_trust_is_no_trust() {
    let fixture = fixture(|_| ());
    let wanted = fixture.wanted();
    let order = Order {
        wanted: &wanted,
        repo: &fixture.repo,
        trusts: &|_| Err("trust.json is damaged".into()),
        admission: &Anything,
        node: &node(),
        settings: &nothing_set(),
        into: &fixture.dir.path().join("run"),
        search: "",
        profiles: fixture.dir.path(),
        layers: &whole(),
    };
    assert_eq!(prepare(&order).unwrap_err(), Unprepared::Failed("trust.json is damaged".into()));
    assert!(fixture.left_nothing());
}

#[test]
fn how_health_is_asked_follows_from_what_is_offered() {
    for (provides, expected) in [
        (json!(["http", "h2c"]), Check::Http("/health".into())),
        (json!(["h2c"]), Check::H2c),
        (json!(["tcp"]), Check::Tcp),
    ] {
        let fixture = fixture(|document| document["provides"] = provides.clone());
        assert_eq!(fixture.prepare(&fixture.wanted(), true).unwrap().facts().check, Some(expected));
    }
}

#[test]
fn a_false_word_about_where_it_comes_from_is_refused_before_anything_is_written() {
    let fixture = fixture(|_| ());
    let keys = soul::KeyStore::open(&fixture.dir.path().join("keys")).unwrap();
    let key = Key(keys.ensure("publisher").unwrap().0);
    let binary = fixture.dir.path().join("binary");
    let wanted_of = |about: &[u8]| {
        let sealed =
            spore::attest::Provenance::seal("billing", &Digest::of(about), &json!({}), &key).unwrap();
        let word = fixture.dir.path().join("word");
        std::fs::write(&word, sealed).unwrap();
        let files = vec![(spore::attest::PROVENANCE.to_owned(), word)];
        let template = Template::from_slice(&serde_json::to_vec(&template()).unwrap()).unwrap();
        let source = Source { binary: &binary, files, created_at: Timestamp::from_secs(1) };
        let mut bytes = std::io::Cursor::new(Vec::new());
        pack(&template, &source, &key, &mut bytes).unwrap();
        let mut wanted = fixture.wanted();
        wanted.release.digest = fixture.repo.put(bytes.into_inner().as_slice()).unwrap().0;
        wanted
    };
    let reason = refused(fixture.prepare(&wanted_of(b"another program"), true));
    assert!(reason.contains("files/attest/provenance.dsse.json: it is about"), "{reason}");
    assert!(fixture.left_nothing());
    fixture.prepare(&wanted_of(b"#!/bin/sh\n"), true).unwrap();
}

/// Rules that say the same of everything, and see what they are asked about.
struct Rules(Result<Vec<String>, String>);

impl Admission for Rules {
    fn reasons(&self, candidate: &Candidate) -> Result<Vec<String>, String> {
        assert_eq!((candidate.app.as_str(), &*candidate.manifest.version), ("billing", "v1"));
        assert_eq!(candidate.node.labels["zone"], "a");
        self.0.clone()
    }

    fn vouched(&self, _: &PublicKey, _: &[u8]) -> Result<(), String> {
        Err("nobody".into())
    }
}

#[test]
fn what_the_rules_say_is_told_word_for_word_and_no_answer_is_a_no() {
    let fixture = fixture(|_| ());
    let ask = |said| fixture.prepare_by(&fixture.wanted(), true, &Rules(said));
    let reason = refused(ask(Ok(vec!["no owner".into(), "not from «here»".into()])));
    assert_eq!(reason, "denied by policy: no owner; not from «here»");
    let why = ask(Err("they took more than 2 s".into())).unwrap_err();
    let expected = "denied, since the policies can't be asked: they took more than 2 s";
    assert_eq!(why, Unprepared::Failed(expected.into()));
    assert!(fixture.left_nothing());
    ask(Ok(Vec::new())).unwrap();
}

#[test]
fn files_are_given_into_rooms_only() {
    let nowhere = Path::new("/nonexistent");
    let default = Confinement::of("default", None, nowhere).unwrap();
    gives(&default, &whole()).unwrap();
    let roomless = Layers { room: Err("no namespaces here".into()), ..whole() };
    let why = gives(&default, &roomless).unwrap_err();
    assert!(why.contains("no namespaces here") && why.contains("--drop-secret"), "{why}");
    let open = Confinement::of("default", Some("unconfined"), nowhere).unwrap();
    let why = gives(&open, &whole()).unwrap_err();
    assert!(why.contains("it runs unconfined"), "{why}");
}
