//! Whatever the records, their order and their number of times: the same set leaves the same state.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Written {
    app: usize,
    generation: u64,
    replicas: u32,
    by: u8,
    says: bool,
    of_node: bool,
    age: u64,
}

prop_compose! {
    fn any_written()(
        app in 0usize..2, generation in 1u64..5, replicas in 0u32..3, by in 0u8..3, says in prop::bool::weighted(0.7),
        of_node in any::<bool>(), age in 0u64..40,
    ) -> Written {
        Written { app, generation, replicas, by, says, of_node, age }
    }
}

/// Plans and removals by two operators and a stranger; endpoints and removals by two nodes and a stranger.
fn record(written: &Written) -> Record {
    let name = ["billing", "frontend"][written.app];
    // Some tombstones have ended already.
    let then = Timestamp::from_secs(now().as_millis() / 1000 - written.age * 24 * 3600);
    if !written.of_node {
        let signer = operator(written.by);
        let record = if written.says {
            Record::plan(mesh(), written.generation, &plan(name, written.replicas), &signer)
        } else {
            let name = RecordName::of_app(&app(name));
            Record::remove(mesh(), Kind::Plan, name, written.generation, then, &signer)
        };
        return record.unwrap();
    }
    let mut endpoint = endpoint(name, &format!("node-{}", written.by % 2 + 1), "replica-a");
    endpoint.slot = written.replicas;
    let key = if written.by == 2 { node_key(2) } else { node_key(written.by + 1) };
    let record = own_record(&endpoint, written.generation, &key);
    if written.says {
        return record;
    }
    record.draft.removal(now() + TOMBSTONE_LIFE).sign(&key).unwrap()
}

/// Everything that two stores of the same records must agree on.
fn state(core: &Core) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut view = core.view(&Namespace::default());
    view.version = 0;
    let records: Vec<Record> = core.records().cloned().collect();
    let conflicts = core.conflicts().map(|(loser, winner)| (loser.id(), winner.id())).collect::<Vec<_>>();
    (records, conflicts, core.floors.clone(), core.heads.clone(), format!("{view:?}"))
}

fn permitted(record: &Record) -> bool {
    core().permits(&verified(record.clone())).is_ok()
}

fn merged<'a>(records: impl IntoIterator<Item = &'a Record>) -> Core {
    let mut core = core();
    for record in records {
        drop(merge(&mut core, record.clone()));
    }
    core
}

fn union(a: &Core, b: &Core) -> Core {
    let mut core = merged(a.records().chain(b.records()));
    // Floors travel as the tombstones they come from; here these have ended on both sides.
    for (key, rank) in a.floors.iter().chain(&b.floors) {
        core.raise_floor(key, *rank, &mut Vec::new());
    }
    core
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn merging_commutes_associates_and_repeats_in_vain(
        written in prop::collection::vec(any_written(), 1..14), shuffled in any::<prop::sample::Index>(),
        cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let records: Vec<Record> = written.iter().map(record).collect();
        let straight = merged(&records);
        let by = shuffled.index(records.len());
        let turned = records[by..].iter().chain(&records[..by]).rev();
        prop_assert_eq!(state(&merged(turned)), state(&straight));
        prop_assert_eq!(state(&merged(records.iter().chain(&records))), state(&straight));

        let (a, b) = (cuts.0.index(records.len()), cuts.1.index(records.len()));
        let (a, b) = (a.min(b), a.max(b));
        let parts = [merged(&records[..a]), merged(&records[a..b]), merged(&records[b..])];
        let left = union(&union(&parts[0], &parts[1]), &parts[2]);
        let right = union(&parts[0], &union(&parts[1], &parts[2]));
        prop_assert_eq!(left.records().collect::<Vec<_>>(), straight.records().collect::<Vec<_>>());
        prop_assert_eq!(right.records().collect::<Vec<_>>(), straight.records().collect::<Vec<_>>());
    }

    #[test]
    fn the_highest_authorised_record_holds_and_nothing_else_is_in(written in prop::collection::vec(any_written(), 1..14)) {
        let records: Vec<Record> = written.iter().map(record).collect();
        let core = merged(&records);
        for record in core.records() {
            prop_assert!(permitted(record));
        }
        for key in records.iter().map(Record::key) {
            let may = records.iter().filter(|record| record.key() == key && permitted(record));
            let best = may.max_by_key(|record| record.rank());
            let holds = best.filter(|record| record.expires().is_none_or(|end| end > now()));
            prop_assert_eq!(core.get(key), holds);
            if let Some(best) = best {
                prop_assert!(!matches!(key.owner, Owner::Operator) || core.next_generation(key) == best.order().major + 1);
            }
        }
    }

    #[test]
    fn what_was_written_down_loads_as_it_was(written in prop::collection::vec(any_written(), 1..14)) {
        let mut disk = BTreeMap::new();
        let mut core = core();
        for written in &written {
            write_down(&mut disk, core.handle(Input::Merge(verified(record(written))), now()));
        }
        let mut loaded = self::core();
        let (outputs, refused) = loaded.load(disk.clone(), now());
        prop_assert_eq!(refused, []);
        prop_assert_eq!(state(&loaded), state(&core));
        let mut after = disk.clone();
        write_down(&mut after, outputs);
        after.remove(b"i".as_slice());
        after.remove(b"a".as_slice());
        prop_assert_eq!(after, disk);
    }

    #[test]
    fn accounts_are_of_what_is_there(written in prop::collection::vec(any_written(), 1..20)) {
        let core = merged(&written.iter().map(record).collect::<Vec<_>>());
        for node in ["node-1", "node-2"].map(node_name) {
            let owner = Owner::Node(node.clone());
            let mine: Vec<&Record> = core.records().filter(|record| record.key().owner == owner).collect();
            let tombstones = mine.iter().filter(|record| record.payload().is_none()).count();
            prop_assert_eq!(core.usage(&node), (tombstones, mine.len()));
            let bytes: usize = mine.iter().filter_map(|record| record.payload()).map(<[u8]>::len).sum();
            prop_assert_eq!(core.usage.get(&node).map_or(0, |usage| usage.bytes), bytes);
        }
    }
}
