//! What a node that was away says, gives and takes.

use super::*;
use crate::net::reconcile::DOUBTED;
use crate::{Absence, Record, TOMBSTONE_LIFE};

/// The first of two nodes was away, and holds a plan that is in doubt.
fn back() -> (Side, Record) {
    let mut side = Side::new(1, all());
    let (me, plan) = (node_name("node-1"), plan_record(1, &plan("billing", 2)));
    let month = TOMBSTONE_LIFE.as_millis() as u64 + 1;
    let before = types::Timestamp::from_millis(now().as_millis() - month);
    side.core.handle(crate::Input::Awake(me), before);
    side.core.handle(crate::Input::Merge(testing::verified(plan.clone())), now());
    let out = side.step(Input::Timer, Duration::ZERO);
    let began = Output::Absence(Absence::Began(Duration::from_millis(month), 1));
    assert!(out.contains(&began), "{out:?}");
    (side, plan)
}

/// Has it ask the other what it has: what it says, and the number of the session.
fn asks(side: &mut Side) -> (Vec<Message>, u32) {
    let mut writes = Vec::new();
    let store = CoreAt { core: &mut side.core, now: now(), outputs: &mut writes };
    let (session, queries) = side.net.reconcile.start(id(2), &store).unwrap();
    (queries, session)
}

/// The other's answer, whose store is empty.
fn answer(queries: &[Message]) -> Message {
    let mut other = Side::new(2, all());
    let out = other.hear(1, queries.last().unwrap(), Duration::ZERO);
    said(&out, 1).into_iter().find(|message| matches!(message, Message::Answer { .. })).unwrap()
}

#[test]
fn it_asks_whether_the_other_stayed_and_forgets_only_after_a_yes() {
    for (says, forgets) in [(None, false), (Some(false), false), (Some(true), true)] {
        let (mut side, plan) = back();
        let (queries, session) = asks(&mut side);
        assert_eq!(queries[0], Message::AskStayed { session });
        let at = Duration::from_secs(1);
        if let Some(stayed) = says {
            assert!(said(&side.hear(2, &Message::Stayed { session, stayed }, at), 2).is_empty());
        }
        let out = side.hear(2, &answer(&queries), at);
        let given: Vec<u32> = said(&out, 2)
            .iter()
            .filter_map(|message| match message {
                Message::Records { session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        let doubted = if says == Some(false) { vec![DOUBTED] } else { vec![] };
        assert_eq!(given, doubted, "the other says {says:?}");
        let ended = Output::Absence(Absence::Ended(vec![plan.key().clone()]));
        assert_eq!(out.contains(&ended), forgets);
        assert_eq!(side.core.by_id(plan.id()).is_none(), forgets);
        assert_eq!(side.core.is_away(), !forgets);
    }
}

#[test]
fn it_gives_what_it_doubts_to_nobody_who_asks() {
    let (mut side, plan) = back();
    let at = Duration::from_secs(1);
    let want = Message::Want { session: 3, ids: vec![plan.id()] };
    let nothing = Message::Records { session: 3, last: true, records: Vec::new() };
    assert_eq!(said(&side.hear(2, &want, at), 2), [nothing]);
    assert_eq!(said(&side.hear(2, &Message::Graft(vec![plan.id()]), at), 2), []);
    let asked = Message::AskStayed { session: 4 };
    assert_eq!(said(&side.hear(2, &asked, at), 2), [Message::Stayed { session: 4, stayed: false }]);
}

#[test]
fn what_its_sender_doubts_is_taken_in_doubt_or_not_at_all() {
    let record = plan_record(1, &plan("frontend", 2));
    let doubted = Message::Records { session: DOUBTED, last: false, records: vec![record.encode()] };
    let at = Duration::from_secs(1);
    let mut stayed = Side::new(1, all());
    stayed.hear(2, &doubted, at);
    assert_eq!(stayed.core.ids().count(), 0);

    let (mut side, plan) = back();
    // A comparison that began before knows nothing of it: it settles nothing.
    let (queries, session) = asks(&mut side);
    side.hear(2, &Message::Stayed { session, stayed: true }, at);
    let out = side.hear(2, &doubted, at);
    assert!(!out.iter().any(|output| matches!(output, Output::Send { .. })), "it goes no further: {out:?}");
    assert!(side.core.doubts(&record.id()));
    side.hear(2, &answer(&queries), at);
    assert!(side.core.is_away() && side.core.by_id(plan.id()).is_some());
}
