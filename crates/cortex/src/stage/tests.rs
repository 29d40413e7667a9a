use crate::testing::*;
use crate::{AppDecision, verdicts};
use genome::{Endpoint, Previous, ReplicaState};
use proptest::prelude::*;

/// `replicas` of v1 serve, and v2 is planned.
fn updating(nodes: usize, replicas: u32, canary: Option<u32>, max_unavailable: Option<u32>) -> Mesh {
    let mut mesh = Mesh::of(nodes).with(plan("billing", replicas));
    mesh.settle();
    let plan = &mut mesh.plans[0].1;
    plan.previous = Some(Previous { generation: 1, release: release("v1") });
    plan.release = release("v2");
    (plan.rollout.canary, plan.rollout.max_unavailable) = (canary, max_unavailable);
    plan.validate().unwrap();
    mesh
}

fn decided(mesh: &Mesh) -> AppDecision {
    mesh.decide().apps[&app("billing")].clone()
}

/// The slots that are to run what the plan asks for.
fn ahead(mesh: &Mesh) -> Vec<u32> {
    let decided = decided(mesh);
    (0..decided.wanted).filter(|slot| !decided.waiting.contains(slot)).collect()
}

fn run(mesh: &mut Mesh, slot: u32, version: &str, state: ReplicaState, warm: bool) {
    for endpoint in mesh.endpoints.iter_mut().filter(|endpoint| endpoint.slot == slot) {
        (endpoint.revision, endpoint.state, endpoint.warm) = (release(version).revision(), state, warm);
    }
}

/// One step that some node takes by itself.
fn steps(mesh: &Mesh) -> Vec<Vec<Endpoint>> {
    let decision = mesh.decide();
    let assignments = mesh.nodes.iter().flat_map(|node| {
        decision.of_node(&node.node_id).into_iter().map(|wanted| (node.node_id.clone(), wanted))
    });
    let mut steps = Vec::new();
    for (on, wanted) in assignments {
        let mut next = mesh.endpoints.clone();
        let of_slot = |endpoint: &&mut Endpoint| endpoint.slot == wanted.slot && endpoint.node_id == on;
        match next.iter_mut().filter(of_slot).find(|endpoint| endpoint.revision == wanted.revision) {
            None => {
                let mut new = endpoint("billing", on.as_str(), wanted.slot);
                (new.revision, new.state) = (wanted.revision, ReplicaState::Launching);
                next.push(new);
            }
            Some(new) if new.state == ReplicaState::Launching => new.state = ReplicaState::Ready,
            Some(new) if wanted.watched && !new.warm => new.warm = true,
            Some(_) => {
                let before = next.len();
                next.retain(|other| other.slot != wanted.slot || other.revision == wanted.revision);
                if next.len() == before {
                    continue;
                }
            }
        }
        steps.push(next);
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_rollout_goes_by_its_stages_and_comes_to_its_end(
        nodes in 1usize..4, replicas in 1u32..9, canary in prop::option::of(1u32..4),
        limit in prop::option::of(0u32..4), choices in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut mesh = updating(nodes, replicas, canary, limit);
        let new = release("v2").revision();
        for choice in choices {
            let mut steps = steps(&mesh);
            if steps.is_empty() {
                break;
            }
            mesh.endpoints = steps.swap_remove(choice.index(steps.len()));
            let slots = super::Slots::of(mesh.endpoints.iter(), &new);
            let is = |slot: u32| slots.get(slot);
            if !slots.others {
                continue;
            }
            let canary = canary.unwrap_or(0).min(replicas);
            let beyond: Vec<u32> = (canary..replicas).filter(|slot| is(*slot).begun).collect();
            prop_assert!(beyond.is_empty() || (0..canary).all(|slot| is(slot).done), "before the canaries are proven");
            if let Some(limit) = limit {
                let changing = beyond.iter().filter(|slot| !is(**slot).done).count();
                prop_assert!(changing <= limit.max(1) as usize, "{changing} change at a time");
                let last = beyond.last().copied().unwrap_or(0);
                let open = (canary..last).filter(|slot| !is(*slot).done).count();
                prop_assert!(open < limit.max(1) as usize, "slot {last} before {open} earlier ones");
            }
        }
        prop_assert!(steps(&mesh).is_empty(), "it comes to an end");
        prop_assert!(mesh.endpoints.iter().all(|endpoint| endpoint.revision == new && endpoint.is_ready()));
        prop_assert_eq!(mesh.endpoints.len() as u32, replicas);
    }
}

#[test]
fn canaries_go_first_and_the_others_when_they_are_proven() {
    let mut mesh = updating(3, 6, Some(2), Some(2));
    assert_eq!(ahead(&mesh), [0, 1]);
    let said = |mesh: &Mesh| decided(mesh).rollout.map(|rollout| rollout.to_string());
    assert_eq!(said(&mesh).unwrap(), "0 of 2 canaries of v2 proven, 4 replicas wait for that");
    run(&mut mesh, 0, "v2", ReplicaState::Ready, true);
    run(&mut mesh, 1, "v2", ReplicaState::Ready, false);
    assert_eq!(ahead(&mesh), [0, 1], "ready is not proven");
    run(&mut mesh, 1, "v2", ReplicaState::Ready, true);
    assert_eq!(ahead(&mesh), [0, 1, 2, 3]);
    run(&mut mesh, 3, "v2", ReplicaState::Launching, false);
    run(&mut mesh, 0, "v2", ReplicaState::Backoff, false);
    assert_eq!(
        ahead(&mesh),
        [0, 1, 3],
        "two are changing, one of them a canary again; what has begun goes on"
    );
    run(&mut mesh, 0, "v2", ReplicaState::Ready, true);
    assert_eq!(ahead(&mesh), [0, 1, 2, 3]);
    assert_eq!(said(&mesh).unwrap(), "2 replicas run v2, 2 change, 2 wait");
    (2..6).for_each(|slot| run(&mut mesh, slot, "v2", ReplicaState::Ready, true));
    assert_eq!((ahead(&mesh).len(), said(&mesh)), (6, None));
}

#[test]
fn a_canary_that_fails_ends_the_rollout_whatever_may_fail_later() {
    let mut mesh = updating(3, 6, Some(1), None);
    mesh.plans[0].1.rollout.max_failed = 2;
    run(&mut mesh, 0, "v2", ReplicaState::Backoff, false);
    mesh.observed.push(failed("billing", "node-1", &release("v2"), "exit status 3"));
    let back = decided(&mesh);
    assert_eq!((back.release.version.as_str(), back.rollout), ("v1", None));
    assert!(back.fallback.unwrap().starts_with("v2 failed on node-1: exit status 3"));
    run(&mut mesh, 0, "v1", ReplicaState::Ready, false);
    assert_eq!(decided(&mesh).release.version, "v1", "it is not tried again");
    for slot in [0, 1] {
        run(&mut mesh, slot, "v2", ReplicaState::Ready, true);
    }
    assert_eq!(decided(&mesh).release.version, "v2", "past the canaries, one may fail");
}

#[test]
fn what_waits_runs_the_release_before_and_what_a_rollout_left_goes_on_as_it_is() {
    let mut mesh = updating(2, 4, Some(1), None);
    let first = decided(&mesh);
    let slot_3 = first.slots[&3].clone();
    let wanted = |mesh: &Mesh| mesh.decide().of_node(&slot_3).into_iter().find(|wanted| wanted.slot == 3);
    assert_eq!(wanted(&mesh).unwrap().release.version, "v1");
    assert!(!wanted(&mesh).unwrap().watched, "nobody waits for it");

    // v3 follows before v2 has got further than its canary.
    run(&mut mesh, 0, "v2", ReplicaState::Ready, true);
    let plan = &mut mesh.plans[0].1;
    plan.previous = Some(Previous { generation: 2, release: release("v2") });
    plan.release = release("v3");
    assert_eq!(ahead(&mesh), [0]);
    assert_eq!(wanted(&mesh), None, "what runs there is neither v2 nor v3");
    assert!(mesh.decide().stays_of(&slot_3).contains(&(app("billing"), 3)));
    let on_slot_3 = mesh.endpoints.iter().find(|endpoint| endpoint.slot == 3).unwrap();
    assert!(decided(&mesh).is_current(on_slot_3));
    let why = verdicts(&mesh.world(), &mesh.decide(), &app("billing"));
    assert!(why.values().all(|why| !why.contains("until")), "{why:?}");
    assert!(why[&slot_3].ends_with("to be updated"), "{why:?}");
    run(&mut mesh, 3, "v1", ReplicaState::Backoff, false);
    assert_eq!(wanted(&mesh).unwrap().release.version, "v2", "it has to start anew anyway");
    run(&mut mesh, 0, "v3", ReplicaState::Ready, true);
    assert_eq!(wanted(&mesh).unwrap().release.version, "v3");
}

#[test]
fn without_anything_to_stage_against_all_slots_take_the_release() {
    let mut mesh = updating(2, 4, Some(1), Some(1));
    mesh.endpoints.clear();
    assert_eq!(ahead(&mesh).len(), 4, "nothing of the release before runs");
    let mut mesh = updating(2, 4, Some(1), Some(1));
    mesh.plans[0].1.previous = None;
    assert_eq!(ahead(&mesh).len(), 4);
    let verdicts = verdicts(&mesh.world(), &mesh.decide(), &app("billing"));
    assert_eq!(verdicts.len(), 2);
}
