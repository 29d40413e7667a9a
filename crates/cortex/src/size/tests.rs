use genome::{Budget, Fixed, Learned, Need, Plan, Previous, Size};
use proptest::prelude::*;
use types::{Digest, Nutrients};

use super::*;
use crate::testing::{Mesh, app, loads, moves, node_name, plan, release};

/// What a node has learned of replicas that always use this much.
fn learned(on: &str, version: &str, enough_permille: u64, (cpu, memory): (u64, u64)) -> Learned {
    let mut needs = Needs { enough_permille, samples: 100, observed_s: 100, ..Needs::default() };
    needs.cpu.note(cpu, 1000);
    needs.memory.note(memory, 1000);
    let need = need(Digest::of(version.as_bytes()), &needs);
    Learned { node_id: node_name(on), app_name: app("web"), needs: vec![need] }
}

/// A manifest of 100 thousandths of a CPU and 100 MiB.
fn auto(replicas: u32) -> Plan {
    Plan { size: Some(Size::Auto), ..plan("web", replicas) }
}

fn of(mesh: &Mesh) -> Sizing {
    mesh.decide().apps[&app("web")].sizing
}

const MANIFEST: Nutrients = Nutrients { cpu_milli: 100, memory_mb: 100 };

#[test]
fn the_manifest_counts_until_enough_is_learned() {
    let mut mesh = Mesh::of(2).with(auto(1));
    assert_eq!(of(&mesh), Sizing { each: MANIFEST, by: SizedBy::Waiting(0), held: false });
    mesh.learned = vec![learned("node-1", "v1", 400, (20, 30))];
    assert_eq!(of(&mesh).by, SizedBy::Waiting(400));
    // What two nodes saw is evidence together, the dead one's too.
    mesh.learned.push(learned("node-9", "v1", 700, (20, 30)));
    let sizing = of(&mesh);
    assert_eq!(sizing.by, SizedBy::Learned(2));
    assert!((23..=25).contains(&sizing.each.cpu_milli), "{sizing:?}");
    assert!((46..=51).contains(&sizing.each.memory_mb), "{sizing:?}");
    assert!(sizing.to_string().ends_with("each, learned on 2 nodes"), "{sizing}");
    mesh.plans[0].1.size = None;
    assert_eq!(of(&mesh), Sizing { each: MANIFEST, by: SizedBy::Manifest, held: false });
}

#[test]
fn an_operator_gives_what_is_named_and_leaves_the_rest_to_the_manifest() {
    let size = Size::Fixed(Fixed { cpu_milli: None, memory_mb: Some(300) });
    let mesh = Mesh::of(1).with(Plan { size: Some(size), ..plan("web", 5) });
    let decision = mesh.decide();
    let decided = &decision.apps[&app("web")];
    assert_eq!(decided.sizing.each, Nutrients { cpu_milli: 100, memory_mb: 300 });
    assert_eq!((decided.slots.len(), decided.unplaced), (3, 2), "a node has 1000 MiB");
    assert!(decision.of_node(&node_name("node-1")).iter().all(|one| one.each.memory_mb == 300));
}

#[test]
fn an_update_begins_with_what_was_learned_of_the_release_before() {
    let mut next = auto(1);
    next.previous = Some(Previous { generation: 1, release: release("v1") });
    next.release = release("v2");
    let mut mesh = Mesh::of(1).with(next);
    mesh.learned = vec![learned("node-1", "v1", 5000, (20, 30))];
    let sizing = of(&mesh);
    assert!(sizing.by == SizedBy::Before(1) && sizing.each.memory_mb < 50, "{sizing:?}");
    mesh.learned[0].needs.insert(0, learned("node-1", "v2", 1000, (20, 60)).needs[0].clone());
    let sizing = of(&mesh);
    assert!(sizing.by == SizedBy::Learned(1) && sizing.each.memory_mb > 90, "{sizing:?}");
}

#[test]
fn a_lack_of_memory_counts_before_there_is_enough_evidence_and_only_for_more() {
    let mut mesh = Mesh::of(1).with(auto(1));
    let mut seen = learned("node-1", "v1", 10, (20, 30));
    seen.needs[0].oom_kills = 1;
    mesh.learned = vec![seen.clone()];
    assert_eq!(of(&mesh).each, MANIFEST, "a peak of 30 MiB doesn't ask for more than 100");
    seen.needs[0].memory_mb = learned("node-1", "v1", 10, (20, 200)).needs[0].memory_mb.clone();
    mesh.learned = vec![seen];
    let sizing = of(&mesh);
    assert!(sizing.each.memory_mb >= 200 && sizing.each.cpu_milli == 100, "{sizing:?}");
}

#[test]
fn what_grows_keeps_its_place_and_drives_nobody_away() {
    let mut mesh = Mesh::of(2).with(auto(4)).with(plan("other", 14));
    let before = mesh.settle();
    mesh.learned = vec![learned("node-1", "v1", 100_000, (300, 300))];
    let after = mesh.decide();
    assert!(after.apps[&app("web")].sizing.each.memory_mb > 300);
    assert_eq!(moves(&before, &after), 0);
    assert_eq!(after.apps[&app("web")].slots, before.apps[&app("web")].slots);
    assert_eq!(after.apps[&app("other")].slots, before.apps[&app("other")].slots);
    // What is new finds no room where the growth has taken it.
    mesh.plans.push((2, plan("third", 1)));
    assert_eq!(mesh.decide().apps[&app("third")].unplaced, 1);
    // Smaller, it makes room.
    mesh.learned = vec![learned("node-1", "v1", 100_000, (20, 30))];
    let after = mesh.settle();
    assert_eq!(after.apps[&app("third")].unplaced, 0);
    mesh.plans[0].1.min = 10;
    mesh.plans[0].1.max = 10;
    let decision = mesh.decide();
    assert_eq!(loads(&mesh, &decision, "web").iter().sum::<usize>(), 10);
}

proptest! {
    #[test]
    fn auto_stays_within_the_budget_and_costs_no_replica_that_would_have_fitted(
        used in (1..5000_u64, 1..5000_u64),
        replicas in 1..8_u32,
        (cpu_milli, memory_mb, max_instances) in (0..3000_u64, 0..3000_u64, 0..10_u32),
        enough in 0..20_000_u64,
    ) {
        let mut mesh = Mesh::of(1).with(auto(replicas));
        let budget = Budget { app_name: app("web"), max_instances, cpu_milli, memory_mb };
        let as_manifest = replicas.min(budget.instances(MANIFEST));
        mesh.budgets = vec![budget];
        mesh.learned = vec![learned("node-1", "v1", enough, used)];
        let decided = mesh.decide().apps[&app("web")].clone();
        let each = decided.sizing.each;
        prop_assert!(u64::from(decided.wanted) * each.cpu_milli <= cpu_milli);
        prop_assert!(u64::from(decided.wanted) * each.memory_mb <= memory_mb);
        prop_assert!(decided.wanted >= as_manifest, "{} of {as_manifest}: {:?}", decided.wanted, decided.sizing);
        prop_assert!(each.cpu_milli <= 400 && each.memory_mb <= 400);
        prop_assert!(each.cpu_milli >= LEAST_CPU && each.memory_mb >= LEAST_MEMORY);
    }

    #[test]
    fn every_node_derives_the_same_from_records_in_any_order(
        seen in proptest::collection::vec((any::<u8>(), 1..2000_u64, 0..600_u64, 1..2000_u64), 0..12),
        turn in 0..12_usize,
    ) {
        let record = |(of, cpu, enough, memory): &(u8, u64, u64, u64)| {
            learned(&format!("node-{of}"), if of % 3 == 0 { "v2" } else { "v1" }, *enough, (*cpu, *memory))
        };
        let mut mesh = Mesh::of(2).with(auto(3));
        mesh.learned = seen.iter().map(record).collect();
        let straight = mesh.decide();
        mesh.learned.rotate_left(turn.min(seen.len()));
        mesh.learned.reverse();
        prop_assert_eq!(mesh.decide(), straight);
    }

    #[test]
    fn a_record_holds_what_was_learned_within_its_bounds(
        values in proptest::collection::vec((0..100_000_u64, 0..1_000_000_u64, 0..600_000_u64), 0..300),
    ) {
        let mut needs = Needs { enough_permille: 2000, samples: values.len() as u64, ..Needs::default() };
        for (cpu, memory, ready) in &values {
            needs.cpu.note(*cpu, 1000);
            needs.memory.note(*memory, 1000);
            needs.ready.note(*ready, 1000);
        }
        let need: Need = need(Digest::of(b"v1"), &needs);
        let record = Learned { node_id: node_name("node-1"), app_name: app("web"), needs: vec![need.clone()] };
        record.validate().unwrap();
        let text = serde_json::to_string(&record).unwrap();
        prop_assert!(text.len() <= 1536, "{} bytes", text.len());
        let back: Learned = serde_json::from_str(&text).unwrap();
        let (read, nodes) = known([&back], &need.digest);
        prop_assert_eq!(nodes, 1);
        for permille in [500, 950, 990] {
            prop_assert!(read.memory.quantile(permille) >= needs.memory.quantile(permille));
        }
        prop_assert_eq!(read.memory.max(), needs.memory.max());
        prop_assert_eq!(super::need(need.digest, &read), need);
    }
}
