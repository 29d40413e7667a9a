//! A node that has nothing learns everything from one peer, though what is allowed depends on what it learns.

use super::*;
use crate::testing::papers::{
    self, ISSUERS, NODES, OPERATORS, endpoint_by, give, give_all, member, operator, plan_by, public,
};
use crate::{Authority, Core, Record};

/// A node whose papers let it speak with the first two of the mesh, and nothing else.
fn side(number: u8, records: &[Record]) -> Side {
    let nodes = [1, 2].map(|n| (node_name(&format!("node-{n}")), public(NODES[n - 1]))).into();
    let mut core = Core::new(papers::mesh(), Authority { nodes, ..papers::authority() }, now());
    give_all(&mut core, records);
    let config = Config {
        id: public(NODES[usize::from(number) - 1]).into(),
        name: node_name(&format!("node-{number}")),
        addresses: vec![([127, 0, 0, 1], 7000 + u16::from(number)).into()],
        generation: now().as_millis(),
        seed: [number; 32],
    };
    Side { net: Net::new(config, Duration::ZERO), core, woken: None }
}

/// Two that have met, and hold nothing else.
fn two(records: [&[Record]; 2]) -> [Side; 2] {
    let mut sides = [side(1, records[0]), side(2, records[1])];
    let joins = [0, 1].map(|i| {
        let first = public(NODES[0]).into();
        (sides[i].net.me().id, sides[i].step(Input::Join(vec![first]), Duration::ZERO))
    });
    run(&mut sides, joins.into(), Duration::from_secs(20));
    sides
}

#[test]
fn one_meeting_brings_everything() {
    let mut sides = two([&[], &[]]);
    let mut records: Vec<Record> = OPERATORS.map(operator).into();
    // More than one question asks for, so that they come in many messages.
    records.extend((0..900).map(|n| plan_by(OPERATORS[n % 2], &format!("app-{n}"), 1, 1)));
    records.push(member(ISSUERS[0], NODES[2], "node-3", 0, 1));
    records.extend((0..200).map(|n| endpoint_by(NODES[2], "node-3", &format!("billing-{n}"), n + 2)));
    give_all(&mut sides[0].core, &records);

    let mut writes = Vec::new();
    let store = CoreAt { core: &mut sides[1].core, now: now(), outputs: &mut writes };
    let (_, queries) = sides[1].net.reconcile.start(public(NODES[0]).into(), &store).unwrap();
    let bytes = queries.last().unwrap().encode();
    let input = Input::Received { from: public(NODES[1]).into(), class: Class::Reliable, bytes };
    let answer = sides[0].step(input, Duration::from_secs(20));
    run(&mut sides, vec![(public(NODES[0]).into(), answer)], Duration::from_secs(22));
    assert_eq!(sides[1].core.authority(), sides[0].core.authority());
    assert_eq!(sides[1].core.records().count(), records.len());
    assert!(sides[1].core.records().eq(sides[0].core.records()));
}

#[test]
fn what_was_refused_for_what_is_gone_is_asked_for_again() {
    let (good, bad) = (plan_by(OPERATORS[1], "billing", 1, 1), plan_by(OPERATORS[0], "billing", 9, 1));
    let both: Vec<Record> = OPERATORS.map(operator).into();
    let with = |plan: &Record| [both.clone(), vec![plan.clone()]].concat();
    let mut sides = two([&with(&good), &with(&bad)]);
    assert!(sides.iter().all(|side| side.core.by_id(bad.id()).is_some()));
    // Whoever still has what was driven out can bring it back as soon as the thief's key is removed.
    let removal = papers::operator_by(papers::ROOT, OPERATORS[0], 2, Some(&[]));
    sides[0].net.reconcile.refuse(good.id(), Duration::from_secs(20));
    give(&mut sides[0].core, &removal).unwrap();
    let out = sides[0].step(Input::Publish(Box::new(removal)), Duration::from_secs(20));
    assert!(!sides[0].net.reconcile.refuses(&good.id()));
    run(&mut sides, vec![(public(NODES[0]).into(), out)], Duration::from_secs(21));
    assert!(sides[1].core.by_id(bad.id()).is_none());
}

#[test]
fn what_was_broadcast_before_its_writer_was_known_is_fetched_as_soon_as_it_is() {
    let both: Vec<Record> = OPERATORS.map(operator).into();
    let mut sides = two([&both, &both]);
    let (member, endpoint) =
        (member(ISSUERS[0], NODES[2], "node-3", 0, 1), endpoint_by(NODES[2], "node-3", "billing-a", 2));
    give(&mut sides[0].core, &member).unwrap();
    give(&mut sides[0].core, &endpoint).unwrap();
    let at = Duration::from_secs(20);
    // It is overtaken on its way.
    let mut answers = Vec::new();
    for record in [&endpoint, &member] {
        for output in sides[0].step(Input::Publish(Box::new(record.clone())), at) {
            if let Output::Send { class, bytes, .. } = output {
                let from = public(NODES[0]).into();
                answers.push(sides[1].step(Input::Received { from, class, bytes }, at));
            }
        }
    }
    assert!(sides[1].core.by_id(member.id()).is_some() && sides[1].core.by_id(endpoint.id()).is_none());
    let answers = answers.into_iter().map(|outputs| (public(NODES[1]).into(), outputs)).collect();
    run(&mut sides, answers, at + Duration::from_millis(1_200));
    assert!(sides[1].core.by_id(endpoint.id()).is_some());
}
