//! A node that was away: what it doubts, for how long, and what it forgets.

use proptest::prelude::*;

use super::*;
use crate::Absence;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The disk of `node-1`, and its clock.
struct Machine {
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    core: Core,
    now: Timestamp,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Self { disk: BTreeMap::new(), core: core(), now: now() };
        machine.start_after(Duration::ZERO);
        machine
    }

    /// A node of a mesh that has stayed, with three records: one of its own, one of another's, and a plan.
    fn with_records() -> (Self, [Record; 3]) {
        let mut machine = Self::new();
        machine.step(Input::Forget(Vec::new()));
        let own = own_record(&endpoint("billing", "node-1", "billing-a"), 1, &node_key(1));
        let other = own_record(&endpoint("billing", "node-2", "billing-b"), 1, &node_key(2));
        let records = [own, other, plan_record(1, &plan("billing", 2))];
        for record in &records {
            machine.step(Input::Merge(verified(record.clone())));
        }
        (machine, records)
    }

    fn step(&mut self, input: Input) -> Option<Absence> {
        let outputs = self.core.handle(input, self.now);
        self.keep(outputs)
    }

    fn keep(&mut self, outputs: Vec<Output>) -> Option<Absence> {
        let mut told = None;
        for output in outputs {
            match output {
                Output::Write(Write::Put { key, value }) => drop(self.disk.insert(key, value)),
                Output::Write(Write::Delete { key }) => drop(self.disk.remove(&key)),
                Output::Absence(absence) => told = Some(absence),
                _ => {}
            }
        }
        told
    }

    fn awake(&mut self) -> Option<Absence> {
        self.step(Input::Awake(node_name("node-1")))
    }

    /// Starts anew when so much time has passed.
    fn start_after(&mut self, time: Duration) -> Option<Absence> {
        self.now = self.now + time;
        self.core = Core::new(mesh(), authority(), self.now);
        let stored = self.disk.clone();
        let (outputs, refused) = self.core.load(stored, self.now);
        assert_eq!(refused, []);
        self.keep(outputs);
        self.awake()
    }

    fn doubts(&self) -> Vec<Digest> {
        self.core.ids().filter(|id| self.core.doubts(id)).collect()
    }
}

#[test]
fn a_node_that_is_new_has_not_stayed_and_one_of_an_earlier_release_has() {
    let mut machine = Machine::new();
    assert!(machine.core.is_away() && machine.doubts().is_empty());
    machine.start_after(DAY);
    assert!(machine.core.is_away(), "a restart makes it no older");
    assert_eq!(machine.step(Input::Forget(Vec::new())), None, "there is nothing to tell");
    machine.start_after(DAY);
    assert!(!machine.core.is_away());

    let record = plan_record(1, &plan("billing", 2));
    machine.disk = [([b"r", record.id().as_bytes().as_slice()].concat(), record.encode())].into();
    assert_eq!(machine.start_after(40 * DAY), None);
    assert!(!machine.core.is_away());
}

#[test]
fn after_a_month_what_is_others_is_in_doubt_until_one_that_stayed_was_met() {
    let (mut machine, [own, other, first]) = Machine::with_records();
    assert_eq!(machine.start_after(29 * DAY), None);
    assert!(!machine.core.is_away() && machine.doubts().is_empty());
    assert_eq!(machine.start_after(31 * DAY), Some(Absence::Began(31 * DAY, 2)));
    let mut doubted = [other.id(), first.id()];
    doubted.sort();
    assert_eq!(machine.doubts(), doubted);
    assert_eq!(machine.core.records().count(), 3, "it goes by what it knows");
    // What comes afterwards is not in doubt, and what takes a doubted one's place isn't either.
    let next = plan_record(2, &plan("billing", 3));
    machine.step(Input::Merge(verified(next.clone())));
    assert_eq!(machine.start_after(DAY), None);
    assert_eq!(machine.doubts(), [other.id()], "a restart in between changes nothing");
    let lacked = vec![own.id(), other.id(), next.id()];
    assert_eq!(machine.step(Input::Forget(lacked)), Some(Absence::Ended(vec![other.key().clone()])));
    for _ in 0..2 {
        assert!(!machine.core.is_away() && machine.doubts().is_empty());
        let mut kept = [own.id(), next.id()];
        kept.sort();
        assert_eq!(machine.core.ids().collect::<Vec<_>>(), kept);
        assert_eq!(machine.start_after(DAY), None);
    }
}

#[test]
fn a_process_that_was_stopped_was_away_and_a_clock_that_was_set_back_says_nothing() {
    let (mut machine, _) = Machine::with_records();
    for _ in 0..50 {
        machine.now = machine.now + DAY;
        assert_eq!(machine.awake(), None, "it was there all the time");
    }
    let before = machine.now;
    machine.now = Timestamp::from_secs(1_700_000_000);
    assert_eq!(machine.start_after(Duration::ZERO), None);
    machine.now = machine.now + 29 * DAY;
    assert_eq!(machine.awake(), None, "counted from where the clock was set");
    machine.now = before;
    assert!(matches!(machine.awake(), Some(Absence::Began(_, 2))));
}

#[test]
fn who_has_been_back_for_a_month_and_met_nobody_who_stayed_has_stayed() {
    let (mut machine, records) = Machine::with_records();
    machine.start_after(31 * DAY);
    for _ in 0..30 {
        machine.now = machine.now + DAY;
        assert_eq!(machine.awake(), None);
        assert!(machine.core.is_away());
    }
    machine.now = machine.now + DAY;
    assert_eq!(machine.awake(), Some(Absence::Waived));
    assert!(!machine.core.is_away() && machine.doubts().is_empty());
    assert_eq!(machine.core.records().count(), records.len());
    machine.start_after(DAY);
    assert!(!machine.core.is_away());
}

proptest! {
    /// However starts, stops, removals and gifts of doubted records follow each other: what is in doubt is here and on
    /// disk, is nobody's but others', and a disk says after a restart what the store said before.
    #[test]
    fn doubts_are_about_what_is_here_and_survive(steps in prop::collection::vec((0..6u8, 0..4u64), 1..40)) {
        let (mut machine, [own, ..]) = Machine::with_records();
        for (what, number) in steps {
            let some = plan_record(number + 1, &plan("frontend", 1));
            let doubted = machine.doubts();
            match what {
                0 => drop(machine.start_after(31 * DAY)),
                1 => drop(machine.start_after(DAY)),
                2 => drop(machine.step(Input::Merge(verified(some)))),
                3 => {
                    machine.step(Input::Merge(verified(some.clone())));
                    machine.step(Input::Doubt(some.id()));
                }
                4 => drop(machine.step(Input::Forget(doubted.into_iter().take(1).collect()))),
                _ => {
                    let doubted = machine.doubts();
                    machine.step(Input::Merge(verified(plan_record(number + 1, &plan("billing", 2)))));
                    prop_assert!(machine.doubts().len() <= doubted.len());
                }
            }
            let (away, doubts) = (machine.core.is_away(), machine.doubts());
            prop_assert!(away || doubts.is_empty());
            prop_assert!(!doubts.contains(&own.id()) && machine.core.by_id(own.id()).is_some());
            let on_disk = machine.disk.keys().filter(|key| key[0] == b'd').count();
            prop_assert_eq!(on_disk, doubts.len());
            machine.start_after(Duration::ZERO);
            prop_assert_eq!((machine.core.is_away(), machine.doubts()), (away, doubts));
        }
    }
}
