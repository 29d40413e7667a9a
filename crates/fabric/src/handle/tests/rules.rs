//! The handle over records that say who may write.

use super::*;
use crate::testing::papers::{
    self, ISSUERS, NEW_ROOT, NODES, OPERATORS, chain, endpoint_by, key, new_roots, operator, plan_by, public,
    revoke, root_change,
};
use crate::{Config, Fabric, Record};

fn founded() -> Fabric {
    let config = Config { mesh: papers::mesh(), authority: papers::authority(), journal: None };
    Fabric::new(config, [], now()).unwrap().0
}

#[test]
fn a_node_joins_with_its_chain_and_speaks_from_then_on() {
    let fabric = founded();
    let (name, node) = (node_name("node-1"), key(NODES[0]));
    let endpoint = endpoint("billing", "node-1", "billing-a");
    assert!(fabric.register_endpoint(&endpoint, &node, now()).is_err());
    let first = chain(ISSUERS[0], NODES[0], "node-1", 0);
    assert!(fabric.join_as(&name, &first, &node, now()).unwrap().new);
    assert!(!fabric.join_as(&name, &first, &node, now()).unwrap().new, "said already");
    fabric.register_endpoint(&endpoint, &node, now()).unwrap();
    let renewed = chain(ISSUERS[1], NODES[0], "node-1", 500);
    assert!(fabric.join_as(&name, &renewed, &node, now()).unwrap().new);
    assert_eq!(fabric.view().members[&name].chain, renewed);
    assert_eq!(
        (fabric.members(), fabric.member(&name)),
        ([(name.clone(), public(NODES[0]))].into(), Some(public(NODES[0])))
    );

    let taken = chain(ISSUERS[1], NODES[1], "node-1", 900);
    let error = fabric.join_as(&name, &taken, &key(NODES[1]), now()).unwrap_err();
    assert!(matches!(&error, Refused::NotAdmitted { .. }), "{error}");
    assert!(fabric.join_as(&name, &renewed, &key(NODES[1]), now()).is_err(), "another's chain");
    let mut again = endpoint;
    again.restarts = 1;
    assert!(fabric.register_endpoint(&again, &node, now()).unwrap().new, "it counts on from its own records");
}

#[test]
fn a_batch_is_taken_whole_whatever_stands_first_in_it() {
    let node = |n: usize, name: &str| papers::member(ISSUERS[0], NODES[n], name, 0, 1);
    let a = operator(OPERATORS[0]);
    let mut batch: Vec<Record> = vec![
        root_change(&new_roots(), &[a.id()], 1, NEW_ROOT),
        a,
        revoke(NODES[1], 1, OPERATORS[0]),
        node(0, "node-1"),
        plan_by(OPERATORS[0], "billing", 1, 1),
        endpoint_by(NODES[0], "node-1", "billing-a", 2),
    ];
    batch.reverse();
    let fabric = founded();
    let merged = fabric.merge(batch, now());
    assert_eq!((merged.refused, merged.new.len()), (vec![], 6));
    assert_eq!(fabric.roots(), Some(new_roots()));
    assert_eq!(
        (fabric.operators(), fabric.revoked()),
        ([public(OPERATORS[0])].into(), [public(NODES[1])].into())
    );
    let error = fabric.merge([node(1, "node-2")], now()).refused.remove(0);
    assert!(error.to_string().contains("was revoked"), "{error}");
}
