use std::time::Duration;

use types::Signer as _;

use crate::testing::*;
use crate::{Kind, PlanChange, RecordName, Refused};

mod disk;
mod rules;
mod subscribers;

/// Far longer than anything here takes; a test that needs it has failed.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn plans_budgets_and_endpoints_go_in_and_out_by_the_names_of_the_specification() {
    let fabric = fabric();
    let mut plans = fabric.subscribe_plans();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    fabric.set_budget(budget_record(1, &budget("billing", 3)), now()).unwrap();
    let billing = app("billing");
    assert_eq!(fabric.get_budget(&billing).unwrap().max_instances, 3);
    let Some(PlanChange::Published(entry)) = plans.wait(SOON) else { panic!("no plan") };
    assert_eq!((entry.generation, entry.value.min, entry.writer), (1, 2, operator(0).public_key()));

    let endpoint = endpoint("billing", "node-1", "billing-a");
    assert!(fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap().new);
    assert!(!fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap().new, "said already");
    assert_eq!(*fabric.endpoints(&billing)[0], endpoint);
    let removed = fabric.remove_endpoint(&billing, &endpoint.node_id, &endpoint.replica, &node_key(1), now());
    assert!(removed.unwrap().unwrap().new);
    assert!(fabric.endpoints(&billing).is_empty());

    assert_eq!(fabric.next_generation_of(Kind::Plan, RecordName::of_app(&billing)), 2);
    fabric.remove_plan(removal(Kind::Plan, "billing", 2), now()).unwrap();
    fabric.remove_budget(removal(Kind::Budget, "billing", 2), now()).unwrap();
    assert_eq!(fabric.get_plan(&billing), None);
    assert_eq!(fabric.get_budget(&billing), None);
    assert_eq!(plans.wait(SOON), Some(PlanChange::Removed(billing)));
}

#[test]
fn a_call_takes_its_own_kind_only() {
    let fabric = fabric();
    let error = fabric.publish_plan(budget_record(1, &budget("billing", 1)), now()).unwrap_err();
    assert!(matches!(error, Refused::OtherKind { expected: "plan", .. }), "{error}");
    let error = fabric.set_budget(removal(Kind::Budget, "billing", 1), now()).unwrap_err();
    assert!(matches!(error, Refused::OtherKind { expected: "budget", .. }), "{error}");
    let error = fabric.remove_plan(plan_record(1, &plan("billing", 1)), now()).unwrap_err();
    assert!(matches!(error, Refused::OtherKind { .. }), "{error}");
    assert_eq!(fabric.records(), []);
}

#[test]
fn what_a_node_says_needs_that_nodes_key() {
    let fabric = fabric();
    let endpoint = endpoint("billing", "node-1", "billing-a");
    fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap();
    for signer in [node_key(2), operator(0)] {
        let error = fabric.register_endpoint(&endpoint, &signer, now()).unwrap_err();
        assert!(matches!(error, Refused::Unauthorised { .. }), "{error}");
    }
    let error =
        fabric.remove_endpoint(&endpoint.app_name, &endpoint.node_id, &endpoint.replica, &node_key(2), now());
    assert!(matches!(error, Err(Refused::Unauthorised { .. })));
    assert_eq!(fabric.endpoints(&endpoint.app_name).len(), 1);
}

#[test]
fn a_snapshot_stays_as_it_was_and_shares_what_did_not_change() {
    let fabric = fabric();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    let register = |replica: &str| {
        fabric.register_endpoint(&endpoint("billing", "node-1", replica), &node_key(1), now()).unwrap();
    };
    register("billing-a");
    let before = fabric.view();
    assert!(std::sync::Arc::ptr_eq(&before, &fabric.view()));
    register("billing-b");
    let after = fabric.view();
    assert!(after.version > before.version);
    assert_eq!((before.endpoints().count(), after.endpoints().count()), (1, 2));
    assert!(std::sync::Arc::ptr_eq(&before.plans, &after.plans));
    let billing = app("billing");
    let of = |view: &crate::View| {
        view.endpoint(&billing, &node_name("node-1"), &"billing-a".parse().unwrap()).cloned()
    };
    assert!(std::sync::Arc::ptr_eq(&of(&before).unwrap(), &of(&after).unwrap()));
}

#[test]
fn many_threads_number_one_nodes_records_without_a_gap_or_a_refusal() {
    let fabric = fabric();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let fabric = fabric.clone();
            scope.spawn(move || {
                for n in 0..25 {
                    let endpoint = endpoint("billing", "node-1", &format!("billing-{thread}-{n}"));
                    assert!(fabric.register_endpoint(&endpoint, &node_key(1), now()).unwrap().new);
                }
            });
        }
    });
    let mut sequences: Vec<u64> = fabric.records().iter().map(|record| record.order().minor).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=100).collect::<Vec<u64>>());
}

#[test]
fn a_replica_that_crashes_for_weeks_does_not_use_up_what_its_node_may_hold() {
    let fabric = fabric();
    let mut time = now();
    for n in 0..1100 {
        time = time + Duration::from_secs(60);
        let endpoint = endpoint("billing", "node-1", &format!("billing-{n}"));
        fabric.register_endpoint(&endpoint, &node_key(1), time).unwrap();
        let Ok(Some(_)) = fabric.remove_endpoint(
            &endpoint.app_name,
            &endpoint.node_id,
            &endpoint.replica,
            &node_key(1),
            time,
        ) else {
            panic!("not removed")
        };
    }
    assert!(fabric.records().len() <= 1024 + 61, "{}", fabric.records().len());
}

#[test]
fn two_stores_that_exchange_what_they_hold_are_equal_after() {
    let (left, right) = (fabric(), fabric());
    left.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    right.publish_plan(plan_record(1, &plan("billing", 3)), now()).unwrap();
    right.publish_plan(plan_record(1, &plan("search", 3)), now()).unwrap();
    left.register_endpoint(&endpoint("billing", "node-1", "billing-a"), &node_key(1), now()).unwrap();
    let (of_left, of_right) = (left.records(), right.records());
    assert_eq!(left.merge(of_right.clone(), now()).refused, []);
    let merged = right.merge(of_left, now());
    assert_eq!((merged.new.len(), merged.refused), (2, vec![]));
    assert_eq!(left.records(), right.records());
    assert_eq!(left.merge(of_right, now()).known, 2);
    assert_eq!((left.conflicts().len(), right.conflicts()), (1, left.conflicts()));
}
