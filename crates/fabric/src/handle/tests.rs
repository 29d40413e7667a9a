use types::Signer as _;

use crate::testing::*;
use crate::{Kind, PlanChange, RecordName};
use std::time::Duration;

#[test]
fn plans_budgets_and_endpoints_go_in_and_out_by_the_names_of_the_specification() {
    let fabric = fabric();
    let mut plans = fabric.subscribe_plans();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    fabric.set_budget(budget_record(1, &budget("billing", 3)), now()).unwrap();
    let billing = app("billing");
    assert_eq!(fabric.get_budget(&billing).unwrap().max_instances, 3);
    let Some(PlanChange::Published(entry)) = plans.wait(Duration::from_secs(5)) else { panic!("no plan") };
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
    assert_eq!(plans.wait(Duration::from_secs(5)), Some(PlanChange::Removed(billing)));
}

#[test]
fn subscribers_that_are_dropped_are_forgotten() {
    let fabric = fabric();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut stays = fabric.subscribe();
    let mut goes = fabric.subscribe();
    assert!(stays.poll_changed(&mut context).is_pending());
    assert!(goes.poll_changed(&mut context).is_pending());
    assert_eq!(fabric.watch().waiting(), 2);
    drop(goes);
    assert_eq!(fabric.watch().waiting(), 1);
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    assert_eq!(fabric.watch().waiting(), 0);
    assert!(stays.poll_changed(&mut context).is_ready());
    assert!(stays.poll_changed(&mut context).is_pending());
}
