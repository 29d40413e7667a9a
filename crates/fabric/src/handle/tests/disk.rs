//! The journal: what is acknowledged is synced, one sync serves many, a failure is told and made good.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::{Config, Fabric, Journal, Write};

/// A disk in memory that can be held up, and that can fail.
#[derive(Clone, Default)]
struct Disk(Arc<(Mutex<Platter>, Condvar)>);

#[derive(Default)]
struct Platter {
    /// What is synced.
    safe: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What a crash would lose.
    unsafe_: Vec<Write>,
    syncs: usize,
    /// How many writes have come so far, held up or not.
    came: usize,
    held: bool,
    broken: bool,
}

impl Journal for Disk {
    fn write(&mut self, batch: &[Write], durable: bool) -> io::Result<()> {
        self.set(|platter| platter.came += 1);
        let (platter, moved) = &*self.0;
        let mut platter = moved.wait_while(platter.lock().unwrap(), |platter| platter.held).unwrap();
        if platter.broken {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        platter.unsafe_.extend_from_slice(batch);
        if durable {
            platter.syncs += 1;
            for write in std::mem::take(&mut platter.unsafe_) {
                match write {
                    Write::Put { key, value } => drop(platter.safe.insert(key, value)),
                    Write::Delete { key } => drop(platter.safe.remove(&key)),
                }
            }
        }
        Ok(())
    }
}

impl Disk {
    fn set(&self, change: impl FnOnce(&mut Platter)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn open(&self) -> Fabric {
        let stored = self.0.0.lock().unwrap().safe.clone();
        let config = Config { mesh: mesh(), authority: authority(), journal: Some(Box::new(self.clone())) };
        let (fabric, dropped) = Fabric::new(config, stored, now()).unwrap();
        assert_eq!(dropped, []);
        fabric
    }

    /// Waits until another write has come.
    fn await_write(&self, before: usize) {
        let (platter, moved) = &*self.0;
        drop(moved.wait_while(platter.lock().unwrap(), |platter| platter.came <= before).unwrap());
    }

    fn syncs(&self) -> usize {
        self.0.0.lock().unwrap().syncs
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let disk = Disk::default();
    let fabric = disk.open();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    fabric.publish_plan(plan_record(2, &plan("billing", 3)), now()).unwrap();
    fabric.publish_plan(plan_record(1, &plan("search", 3)), now()).unwrap();
    fabric.remove_plan(removal(Kind::Plan, "search", 2), now()).unwrap();
    let endpoint = endpoint("billing", "node-1", "billing-a");
    fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap();

    let after_crash = disk.open();
    assert_eq!(after_crash.get_plan(&app("billing")).unwrap().min, 3);
    assert_eq!(after_crash.get_plan(&app("search")), None);
    assert_eq!(after_crash.next_generation_of(Kind::Plan, RecordName::of_app(&app("search"))), 3);
    assert!(after_crash.endpoints(&app("billing")).is_empty(), "nobody waited for it");
    let receipt = after_crash.register_endpoint(&endpoint, &node_key(1), now()).unwrap();
    assert!(receipt.order.major > now().as_millis(), "above the order that was lost");

    after_crash.flush().unwrap();
    assert_eq!(disk.open().records(), after_crash.records());
}

#[test]
fn those_who_wait_at_the_same_time_share_one_sync() {
    let disk = Disk::default();
    let fabric = disk.open();
    let before = disk.syncs();
    disk.set(|platter| platter.held = true);
    let mut changes = fabric.subscribe();
    std::thread::scope(|scope| {
        for n in 0..12 {
            let fabric = fabric.clone();
            scope.spawn(move || {
                fabric.publish_plan(plan_record(1, &plan(&format!("app-{n}"), 1)), now()).unwrap()
            });
        }
        while fabric.view().plans.len() < 12 {
            changes.wait(SOON).expect("twelve plans are visible before any is on disk");
        }
        disk.set(|platter| platter.held = false);
    });
    let syncs = disk.syncs() - before;
    assert!(syncs <= 2, "{syncs} syncs for twelve plans, of which all but the first came meanwhile");
    assert_eq!(disk.open().view().plans.len(), 12);
}

#[test]
fn a_disk_that_is_full_is_told_and_made_good_by_the_next_attempt() {
    let disk = Disk::default();
    let fabric = disk.open();
    disk.set(|platter| platter.broken = true);
    let record = plan_record(1, &plan("billing", 2));
    let error = fabric.publish_plan(record.clone(), now()).unwrap_err();
    assert!(matches!(&error, Refused::NotDurable(_)), "{error}");
    assert!(fabric.publish_plan(record.clone(), now()).is_err(), "known already, but still not on disk");
    disk.set(|platter| platter.broken = false);
    assert!(!fabric.publish_plan(record, now()).unwrap().new);
    assert_eq!(disk.open().view().plans.len(), 1);
}

#[test]
fn what_came_while_a_write_failed_is_not_lost() {
    let disk = Disk::default();
    let fabric = disk.open();
    let before = disk.0.0.lock().unwrap().came;
    disk.set(|platter| (platter.held, platter.broken) = (true, true));
    std::thread::scope(|scope| {
        let fails = scope.spawn(|| fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()));
        disk.await_write(before);
        let meanwhile = fabric.stage(plan_record(1, &plan("search", 2)), now()).unwrap();
        disk.set(|platter| platter.held = false);
        assert!(matches!(fails.join().unwrap(), Err(Refused::NotDurable(_))));
        disk.set(|platter| platter.broken = false);
        meanwhile.durable().unwrap();
    });
    assert_eq!(disk.open().view().plans.len(), 2);
}

#[test]
fn what_nobody_waits_for_does_not_pile_up() {
    let disk = Disk::default();
    let fabric = disk.open();
    for n in 0..600 {
        let mut endpoint = endpoint("billing", "node-1", "billing-a");
        endpoint.restarts = n;
        fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap();
    }
    assert!(!disk.0.0.lock().unwrap().unsafe_.is_empty(), "handed over without a sync");
    fabric.flush().unwrap();
    assert_eq!(*disk.open().endpoints(&app("billing"))[0], *fabric.endpoints(&app("billing"))[0]);
}

#[test]
fn a_closed_store_can_still_be_read_and_says_that_it_keeps_nothing() {
    let disk = Disk::default();
    let fabric = disk.open();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    fabric.close().unwrap();
    assert_eq!(fabric.view().plans.len(), 1);
    let error = fabric.publish_plan(plan_record(2, &plan("billing", 2)), now()).unwrap_err();
    assert!(matches!(&error, Refused::NotDurable(_)), "{error}");
}
