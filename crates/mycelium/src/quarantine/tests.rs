use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fabric::net::{Class, PeerId};
use fabric::{Authority, Config, MeshId, Record};
use genome::{Plan, Release};
use serde_json::json;
use types::{AppName, Signer as _};

use super::watchdog::Counting;
use super::*;
use crate::network::Waiting;

const MESH: MeshId = MeshId::from_bytes([3; 32]);

struct Place {
    dir: tempfile::TempDir,
    key: soul::SecretKey,
    /// What a journal would hold.
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Place {
    fn new() -> Self {
        let key = soul::SecretKey::generate().unwrap();
        Self { dir: tempfile::tempdir().unwrap(), key, stored: BTreeMap::new() }
    }

    /// A process starts; what it puts into quarantine.
    fn start(&self) -> (Quarantine, Fabric, Vec<Quarantined>) {
        let now = Timestamp::from_secs(100);
        let (quarantine, new) = Quarantine::open(self.dir.path(), now).unwrap();
        let authority = Authority { operators: [self.key.public_key()].into(), ..Authority::default() };
        let config = Config { mesh: MESH, authority, journal: None };
        let stored = quarantine.sift(self.stored.clone().into_iter().collect());
        let (fabric, refused) = Fabric::new(config, stored, now).unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        quarantine.watch_over(&fabric, now);
        (quarantine, fabric, new)
    }

    fn plan(&self, generation: u64) -> Record {
        let release: Release =
            serde_json::from_value(json!({ "digest": Digest::from_bytes([7; 32]) })).unwrap();
        let plan = Plan::new(AppName::new("billing").unwrap(), release, u32::try_from(generation).unwrap());
        Record::plan(MESH, generation, &plan, &self.key).unwrap()
    }

    fn store(&mut self, record: &Record) {
        let key = [b"r".as_slice(), record.id().as_bytes()].concat();
        self.stored.insert(key, record.encode());
    }
}

fn holds(fabric: &Fabric) -> Option<u64> {
    fabric.view().plans.values().next().map(|entry| entry.generation)
}

fn now() -> Timestamp {
    Timestamp::from_secs(100)
}

#[test]
fn what_a_process_ended_over_is_kept_out_and_what_held_before_holds_again() {
    let mut place = Place::new();
    let (one, two) = (place.plan(1), place.plan(2));
    let (quarantine, fabric, _) = place.start();
    let handler = quarantine.handler("agent");
    fabric.merge_one(one, now()).unwrap();
    handler.caught_up(fabric.view().version);
    assert!(quarantine.is_empty_handed());
    fabric.merge_one(two.clone(), now()).unwrap();
    assert_eq!(quarantine.in_hand([&two.id()]), [two.id()]);
    quarantine.accuse("panic: at once");
    place.store(&two);

    let (quarantine, fabric, new) = place.start();
    assert_eq!(new.len(), 1);
    assert_eq!((new[0].id, new[0].reason.as_str()), (two.id(), "panic: at once"));
    assert!(new[0].what.contains("billing"), "{}", new[0].what);
    assert_eq!(holds(&fabric), Some(1));
    let refused = fabric.merge_one(two.clone(), now()).unwrap_err();
    assert!(matches!(refused, fabric::Refused::Quarantined { .. }), "{refused}");

    // Over and over, until somebody releases it.
    let (_, _, again) = place.start();
    assert_eq!(again, []);
    assert!(quarantine.release(&two.id(), &fabric, now()).unwrap());
    assert_eq!((holds(&fabric), quarantine.list()), (Some(2), Vec::new()));
    assert!(!quarantine.release(&two.id(), &fabric, now()).unwrap());
}

#[test]
fn what_everybody_came_to_terms_with_is_innocent() {
    let place = Place::new();
    let (quarantine, fabric, _) = place.start();
    let (agent, routes) = (quarantine.handler("agent"), quarantine.handler("routes"));
    fabric.merge_one(place.plan(1), now()).unwrap();
    let version = fabric.view().version;
    quarantine.accuse("panic: of a request");
    agent.caught_up(version);
    assert!(!quarantine.is_empty_handed(), "the routes lag");
    routes.caught_up(version);
    assert!(quarantine.is_empty_handed());
    assert_eq!(place.start().2, []);
}

#[test]
fn a_process_that_is_killed_accuses_nobody_until_it_is_killed_again_and_again() {
    let place = Place::new();
    let (quarantine, fabric, _) = place.start();
    let _agent = quarantine.handler("agent");
    fabric.merge_one(place.plan(1), now()).unwrap();
    for _ in 1..STRIKES {
        let (quarantine, _, new) = place.start();
        assert_eq!((new, quarantine.is_empty_handed()), (Vec::new(), false));
    }
    let (_, _, new) = place.start();
    assert_eq!(new.len(), 1);
    assert!(new[0].reason.contains("3 times"), "{}", new[0].reason);
}

#[test]
fn a_handler_at_work_holds_what_came_meanwhile() {
    let place = Place::new();
    let (quarantine, fabric, _) = place.start();
    let driver = quarantine.handler("driver");
    driver.begin_at(fabric.view().version);
    fabric.merge_one(place.plan(1), now()).unwrap();
    assert!(!quarantine.is_empty_handed());
    driver.done();
    assert!(quarantine.is_empty_handed());
}

#[test]
fn messages_wait_for_the_records_they_carry() {
    let place = Place::new();
    let (quarantine, fabric, _) = place.start();
    let agent = quarantine.handler("agent");
    let mut waiting = Waiting::new(quarantine.clone());
    let (record, peer) = (place.plan(1), PeerId::from(place.key.public_key()));
    // As the wire has it: version, kind, hops, record.
    let news = [[1, 2, 0].as_slice(), &record.encode()].concat();
    assert_eq!(fabric::net::carried_ids(&news), [record.id()]);
    fabric.merge_one(record, now()).unwrap();
    assert!(waiting.keep(peer, Class::Reliable, news.clone()).is_none());
    assert!(waiting.keep(peer, Class::Datagram, vec![1, 1, 0]).is_some(), "it carries nothing");
    assert!(waiting.free().is_empty());
    agent.caught_up(fabric.view().version);
    assert_eq!(waiting.free().len(), 1);
    assert!(waiting.keep(peer, Class::Reliable, news).is_some());
}

#[test]
fn a_store_that_panics_is_not_relied_on() {
    let place = Place::new();
    let (quarantine, _, _) = place.start();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    quarantine.broke(Digest::from_bytes([1; 32]));
    runtime.block_on(quarantine.broken());
}

#[test]
fn files_that_a_crash_of_the_machine_left_behind_are_read_as_far_as_they_go() {
    let place = Place::new();
    std::fs::write(place.dir.path().join("in-hand"), b"0 nonsense - what\n1 \xff\0rest").unwrap();
    std::fs::write(place.dir.path().join("ended"), b"panic: of old\0").unwrap();
    assert_eq!(place.start().2, []);
    std::fs::write(place.dir.path().join("list.json"), b"{").unwrap();
    let error = Quarantine::open(place.dir.path(), now()).err().unwrap();
    assert!(error.to_string().contains("list.json"), "{error}");
}

#[test]
fn only_time_in_which_the_process_ran_counts() {
    let mut counting = Counting::default();
    let busy = || vec![(1, Some("agent".to_owned()))];
    for _ in 0..1000 {
        assert_eq!(counting.tick(busy(), false), None, "it was stopped");
    }
    for _ in 0..40 {
        assert_eq!(counting.tick(busy(), true), None);
    }
    assert_eq!(counting.tick(busy(), true).as_deref(), Some("agent"));
    assert_eq!(counting.tick(vec![(3, Some("agent".to_owned()))], true), None, "it began anew");
    assert_eq!(counting.tick(vec![(4, None)], true), None);
}

#[test]
fn a_watchdog_over_what_goes_on_stays_quiet() {
    let place = Place::new();
    let (quarantine, _, _) = place.start();
    let handler = quarantine.handler("agent");
    let _watchdog = Watchdog::start(&quarantine, Duration::from_millis(40)).unwrap();
    let until = std::time::Instant::now() + Duration::from_millis(200);
    let turns = Arc::new(AtomicU64::new(0));
    while std::time::Instant::now() < until {
        handler.work(|| turns.fetch_add(1, Ordering::Relaxed));
    }
    assert!(turns.load(Ordering::Relaxed) > 0);
}
