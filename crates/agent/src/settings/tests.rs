use std::collections::BTreeSet;
use std::time::Duration;

use fabric::{Authority, Fabric, Record};
use genome::{Config, Release, Secret};
use serde_json::json;
use soul::{ContentKey, KeyService, KeyStore, Label, SecretKey, ServiceError};
use types::{Digest, Signer as _, Timestamp};

use super::*;

struct Fixture {
    _dir: tempfile::TempDir,
    fabric: Fabric,
    operator: SecretKey,
    node: Arc<SecretKey>,
}

fn name(text: &str) -> SettingName {
    SettingName::new(text).unwrap()
}

fn app() -> AppName {
    AppName::new("billing").unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path()).unwrap();
        let (operator, node) = (keys.ensure("operator").unwrap().0, keys.ensure("node-1").unwrap().0);
        let authority = Authority { operators: [operator.public_key()].into(), ..Authority::default() };
        let config = fabric::Config { mesh: MeshId::from_bytes([5; 32]), authority, journal: None };
        let fabric = Fabric::new(config, [], now()).unwrap().0;
        Self { _dir: dir, fabric, operator, node: Arc::new(node) }
    }

    fn seal(&self, value: &[u8], version: u64, services: &[&dyn KeyService]) -> Secret {
        let label = Label { name: name("db-password"), version, app_names: BTreeSet::new() };
        let to = if services.is_empty() { [self.node.public_key()].into() } else { BTreeSet::new() };
        soul::seal(self.fabric.mesh(), &label, value, &to, services).unwrap()
    }

    fn set(&self, generation: u64, secret: &Secret) {
        let record = Record::secret(self.fabric.mesh(), generation, secret, &self.operator).unwrap();
        self.fabric.submit(record, now()).unwrap();
    }

    fn source(&self, custodians: Vec<Arc<dyn Custodian>>) -> Opener {
        Opener { mesh: self.fabric.mesh(), view: self.fabric.view(), custodians }
    }

    fn open(&self, settings: serde_json::Value) -> Result<(Vec<Bound>, Settings), Unprepared> {
        self.source(vec![self.node.clone()]).open(&wanted(settings))
    }

    fn refused(&self, settings: serde_json::Value) -> String {
        match self.open(settings) {
            Err(Unprepared::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn wanted(settings: serde_json::Value) -> Assignment {
    let mut release = json!({ "digest": Digest::of(b"spore") });
    release.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let release: Release = serde_json::from_value(release).unwrap();
    Assignment {
        app: app(),
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

#[test]
fn what_the_plan_names_is_opened_under_its_path_with_its_version() {
    let fixture = Fixture::new();
    fixture.set(4, &fixture.seal(b"hunter2", 4, &[]));
    let config = Config { name: name("features"), version: 2, app_names: [app()].into(), text: "a=1".into() };
    let record = Record::config(fixture.fabric.mesh(), 2, &config, &fixture.operator).unwrap();
    fixture.fabric.submit(record, now()).unwrap();
    let (files, versions) =
        fixture.open(json!({ "secrets": { "db-password": 3 }, "config": { "features": 0 } })).unwrap();
    let files: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.content.as_slice())).collect();
    assert_eq!(files, [("config/features", b"a=1".as_slice()), ("secrets/db-password", b"hunter2")]);
    assert_eq!((versions.secrets[&name("db-password")], versions.config[&name("features")]), (4, 2));
    assert!(fixture.open(json!({})).unwrap().0.is_empty());
}

#[test]
fn what_is_missing_keeps_it_from_starting_and_says_the_way_out() {
    let fixture = Fixture::new();
    let asked = json!({ "secrets": { "db-password": 2 } });
    let why = fixture.refused(asked.clone());
    assert!(why.contains("nobody has set: mesh secret set db-password"), "{why}");
    let why = fixture.refused(json!({ "config": { "features": 1 } }));
    assert!(why.contains("nobody has set: mesh config set features"), "{why}");

    fixture.set(1, &fixture.seal(b"hunter1", 1, &[]));
    assert!(
        matches!(fixture.open(asked.clone()), Err(Unprepared::Missing(why)) if why.contains("version 2"))
    );

    let mut secret = fixture.seal(b"hunter2", 2, &[]);
    secret.app_names = [AppName::new("other").unwrap()].into();
    fixture.set(2, &secret);
    let why = fixture.refused(asked.clone());
    assert!(why.contains("is not for billing") && why.contains("--app billing"), "{why}");

    let label = Label { name: name("db-password"), version: 2, app_names: BTreeSet::new() };
    let to = [fixture.operator.public_key()].into();
    fixture.set(3, &soul::seal(fixture.fabric.mesh(), &label, b"hunter2", &to, &[]).unwrap());
    let why = fixture.refused(asked.clone());
    assert!(
        why.contains("not sealed to this node") && why.contains("mesh secret reseal db-password"),
        "{why}"
    );

    let moved = Secret { version: 5, ..fixture.seal(b"hunter2", 4, &[]) };
    fixture.set(5, &moved);
    let why = fixture.refused(asked);
    assert!(why.contains("does not open here"), "{why}");
}

struct Down;

impl Custodian for Down {
    fn content_key(&self, secret: &Secret, _: &[u8]) -> Result<ContentKey, UnsealError> {
        match secret.held.contains_key("down") {
            true => Err(ServiceError("connection refused".into()).into()),
            false => Err(UnsealError::NoShare),
        }
    }
}

impl KeyService for Down {
    fn name(&self) -> &str {
        "down"
    }

    fn wrap(&self, _: &ContentKey, _: &[u8]) -> Result<String, ServiceError> {
        Ok("wrapped".into())
    }
}

#[test]
fn a_key_service_that_is_down_is_asked_again_later_and_only_where_it_is_needed() {
    let fixture = Fixture::new();
    let asked = || wanted(json!({ "secrets": { "db-password": 1 } }));
    fixture.set(1, &fixture.seal(b"hunter2", 1, &[&Down]));
    let source = || fixture.source(vec![fixture.node.clone(), Arc::new(Down)]);
    let failed = source().open(&asked());
    assert!(
        matches!(&failed, Err(Unprepared::Failed(why)) if why.contains("connection refused")),
        "{failed:?}"
    );
    fixture.set(2, &fixture.seal(b"hunter2", 2, &[]));
    source().open(&asked()).unwrap();
}

#[test]
fn no_value_is_shown() {
    let fixture = Fixture::new();
    fixture.set(1, &fixture.seal(b"hunter2", 1, &[]));
    let opened = fixture.open(json!({ "secrets": { "db-password": 1 } })).unwrap();
    let shown = format!("{opened:?}");
    assert!(shown.contains("secrets/db-password (7 bytes)") && !shown.contains("hunter2"), "{shown}");
}
