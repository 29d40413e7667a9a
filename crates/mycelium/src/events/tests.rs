use telemetry::EventKind;
use types::Timestamp;

use super::*;

fn event(message: &str) -> Event {
    let at = Timestamp::from_secs(1);
    Event { seq: 0, at, kind: EventKind::Mesh, node: None, app: None, replica: None, message: message.into() }
}

fn numbers(log: &EventLog, since: u64) -> Vec<u64> {
    log.after(since).unwrap().iter().map(|e| e.seq).collect()
}

#[test]
fn numbers_go_on_after_a_restart_and_a_torn_line_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path()).unwrap();
    (0..3).for_each(|i| log.record(event(&i.to_string())));
    drop(log);
    let mut file = OpenOptions::new().append(true).open(dir.path().join("current.ndjson")).unwrap();
    file.write_all(br#"{"seq":4,"at":"#).unwrap();

    let log = EventLog::open(dir.path()).unwrap();
    log.record(event("after the crash"));
    assert_eq!(numbers(&log, 0), [1, 2, 3, 4]);
    drop(log);
    assert_eq!(numbers(&EventLog::open(dir.path()).unwrap(), 2), [3, 4]);
}

#[test]
fn what_the_ring_has_forgotten_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path()).unwrap();
    let count = RING as u64 + 100;
    (0..count).for_each(|_| log.record(event("x")));
    assert_eq!(numbers(&log, 0), (1..=count).collect::<Vec<_>>());
    assert_eq!(numbers(&log, count - 1), [count]);
}

#[test]
fn the_files_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path()).unwrap();
    let message = "m".repeat(64 << 10);
    (0..200).for_each(|_| log.record(event(&message)));
    let bytes: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 2 * FILE_BYTES + (128 << 10), "{bytes}");
    assert_eq!(log.after(199).unwrap().len(), 1);
}

#[test]
fn a_number_that_never_comes_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path()).unwrap();
    log.record(event("x"));
    assert!(numbers(&log, u64::MAX).is_empty());
}

#[test]
fn what_found_no_room_on_disk_is_not_missing_between_what_did() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path()).unwrap();
    (0..RING).for_each(|_| log.record(event("x")));
    let file = log.lock().file.take();
    log.record(event("lost on disk"));
    log.lock().file = file;
    log.record(event("x"));
    assert_eq!(numbers(&log, 0), (1..=RING as u64 + 2).collect::<Vec<_>>());
}

#[test]
fn a_change_of_files_that_failed_half_way_is_finished_by_the_next_event() {
    let dir = tempfile::tempdir().unwrap();
    let current = dir.path().join(CURRENT);
    let log = EventLog::open(dir.path()).unwrap();
    let message = "m".repeat(256 << 10);
    while std::fs::metadata(&current).unwrap().len() < FILE_BYTES {
        log.record(event(&message));
    }
    std::fs::rename(&current, dir.path().join(PREVIOUS)).unwrap();
    log.record(event("x"));
    let last = *log.latest().borrow();
    drop(log);
    assert_eq!(*EventLog::open(dir.path()).unwrap().latest().borrow(), last);
}
