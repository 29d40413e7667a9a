//! A few nodes by hand: what is refused, from whom, and what never goes further. Whole meshes are simulated in `sim`.

mod absence;
mod early;
mod forms;
mod release;

use std::collections::BTreeMap;
use std::time::Duration;

use types::Signer as _;

use super::*;
use crate::testing::{authority, mesh, node_key, node_name, now, operator, own_record, plan, plan_record};
use crate::{Authority, Core, testing};

/// Nodes 1 and 2 are admitted by `testing::authority`; 3 only when a test says so.
struct Side {
    net: Net,
    core: Core,
    woken: Option<Duration>,
}

fn id(number: u8) -> PeerId {
    node_key(number).public_key().into()
}

fn all() -> Authority {
    let nodes = [1, 2, 3].map(|n| (node_name(&format!("node-{n}")), node_key(n).public_key())).into();
    Authority { nodes, ..authority() }
}

impl Side {
    fn new(number: u8, authority: Authority) -> Self {
        let config = Config {
            id: id(number),
            name: node_name(&format!("node-{number}")),
            addresses: vec![([127, 0, 0, 1], 7000 + u16::from(number)).into()],
            generation: now().as_millis(),
            seed: [number; 32],
        };
        let core = Core::new(mesh(), authority, now());
        Self { net: Net::new(config, Duration::ZERO), core, woken: None }
    }

    fn step(&mut self, input: Input, at: Duration) -> Vec<Output> {
        let mut writes = Vec::new();
        let mut store = CoreAt { core: &mut self.core, now: now(), outputs: &mut writes };
        let out = self.net.handle(input, at, &mut store);
        self.woken =
            out.iter().rfind(|o| matches!(o, Output::Timer(_))).map_or(self.woken, |output| match output {
                Output::Timer(at) => Some(*at),
                _ => None,
            });
        out
    }

    fn hear(&mut self, from: u8, message: &Message, at: Duration) -> Vec<Output> {
        let bytes = message.encode();
        let class = if matches!(message, Message::Swim(_)) { Class::Datagram } else { Class::Reliable };
        self.step(Input::Received { from: id(from), class, bytes }, at)
    }
}

fn offence(outputs: &[Output]) -> Option<&Offence> {
    outputs.iter().find_map(|output| match output {
        Output::Misbehaviour { why, .. } => Some(why),
        _ => None,
    })
}

/// Runs some nodes with instant links for a while.
fn run(
    sides: &mut [Side],
    mut pending: Vec<(PeerId, Vec<Output>)>,
    until: Duration,
) -> Vec<(PeerId, Output)> {
    let index: BTreeMap<PeerId, usize> = sides.iter().enumerate().map(|(i, s)| (s.net.me().id, i)).collect();
    let mut log = Vec::new();
    let mut time = Duration::ZERO;
    loop {
        while let Some((from, outputs)) = pending.pop() {
            for output in outputs {
                if let Output::Send { to, class, bytes } = &output
                    && let Some(to) = index.get(to)
                {
                    let input = Input::Received { from, class: *class, bytes: bytes.clone() };
                    let answer = sides[*to].step(input, time);
                    pending.push((sides[*to].net.me().id, answer));
                }
                log.push((from, output));
            }
        }
        let next = sides.iter().enumerate().filter_map(|(i, side)| side.woken.map(|at| (at, i))).min();
        match next {
            Some((at, i)) if at <= until => {
                time = time.max(at);
                sides[i].woken = None;
                let outputs = sides[i].step(Input::Timer, time);
                pending.push((sides[i].net.me().id, outputs));
            }
            _ => return log,
        }
    }
}

/// Three that know each other.
fn three() -> Vec<Side> {
    let mut sides: Vec<Side> = (1..=3).map(|number| Side::new(number, all())).collect();
    let joins = (0..3)
        .map(|i| {
            let out = sides[i].step(Input::Join(vec![id(1)]), Duration::ZERO);
            (sides[i].net.me().id, out)
        })
        .collect();
    run(&mut sides, joins, Duration::from_secs(20));
    assert!(sides.iter().all(|side| side.net.members().len() == 2));
    sides
}

#[test]
fn a_published_record_reaches_all_and_is_verified_by_each() {
    let mut sides = three();
    let record = plan_record(1, &plan("billing", 2));
    let writes = testing::verified(record.clone());
    sides[0].core.handle(crate::Input::Submit(writes), now());
    let out = sides[0].step(Input::Publish(Box::new(record.clone())), Duration::from_secs(20));
    run(&mut sides, vec![(id(1), out)], Duration::from_secs(21));
    for side in &sides {
        assert_eq!(side.core.by_id(record.id()), Some(&record));
    }
}

#[test]
fn a_record_that_does_not_hold_ends_where_it_came_in() {
    let at = Duration::from_secs(20);
    let mut forged = plan_record(1, &plan("billing", 2)).encode();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for message in [
        Message::News { hops: 0, record: forged.clone() },
        Message::Records { session: 0, last: false, records: vec![forged.clone()] },
    ] {
        let mut sides = three();
        let out = sides[0].hear(2, &message, at);
        assert!(matches!(offence(&out), Some(Offence::Record(_))), "{out:?}");
        assert!(!out.iter().any(|output| matches!(output, Output::Send { .. })), "{out:?}");
        assert_eq!(sides[0].core.ids().count(), 0);
    }
}

#[test]
fn a_known_record_under_another_signature_is_not_passed_on() {
    let mut sides = three();
    let record = plan_record(1, &plan("billing", 2));
    sides[0].core.handle(crate::Input::Submit(testing::verified(record.clone())), now());
    let mut other = record.encode();
    let last = other.len() - 1;
    other[last] ^= 1;
    for (seconds, message) in [
        (20, Message::News { hops: 0, record: other.clone() }),
        (22, Message::Records { session: 0, last: false, records: vec![other] }),
    ] {
        let out = sides[0].hear(2, &message, Duration::from_secs(seconds));
        assert!(matches!(offence(&out), Some(Offence::Record(_))));
        assert!(!out.iter().any(|output| matches!(output, Output::Send { .. })));
        assert_eq!(sides[0].core.by_id(record.id()), Some(&record));
    }
}

/// What `from` sends to `to`, read.
fn said(outputs: &[Output], whom: u8) -> Vec<Message> {
    let read = |output: &Output| match output {
        Output::Send { to, bytes, .. } if *to == id(whom) => match Message::decode(bytes) {
            Ok(Opened::Message(message)) => Some(message),
            _ => None,
        },
        _ => None,
    };
    outputs.iter().filter_map(read).collect()
}

#[test]
fn what_is_taken_is_passed_on_a_link_further_and_never_back() {
    let mut sides = three();
    let record = plan_record(1, &plan("billing", 2)).encode();
    let out = sides[0].hear(2, &Message::News { hops: 3, record: record.clone() }, Duration::from_secs(20));
    assert_eq!(said(&out, 3), [Message::News { hops: 4, record }]);
    assert_eq!(said(&out, 2), []);
}

/// A neighbour promises a record and another sends nothing: it is asked, and answered from the store.
#[test]
fn what_was_promised_and_did_not_come_is_asked_for_and_answered() {
    let mut sides = three();
    let at = Duration::from_secs(20);
    let record = plan_record(1, &plan("billing", 2));
    sides[1].core.handle(crate::Input::Submit(testing::verified(record.clone())), now());
    sides[0].hear(2, &Message::Have(vec![(record.id(), 0)]), at);
    let log = run(&mut sides, Vec::new(), at + Duration::from_millis(60));
    assert!(log.iter().any(|(from, output)| *from == id(1)
        && said(std::slice::from_ref(output), 2) == [Message::Graft(vec![record.id()])]));
    assert_eq!(sides[0].core.by_id(record.id()), Some(&record));
    let again = sides[0].hear(3, &Message::Have(vec![(record.id(), 0)]), at + Duration::from_secs(1));
    assert!(again.iter().all(|output| !matches!(output, Output::Send { .. })), "{again:?}");
}

#[test]
fn who_asks_for_too_much_is_not_served() {
    let mut sides = three();
    let record = plan_record(1, &plan("billing", 2));
    sides[0].core.handle(crate::Input::Submit(testing::verified(record.clone())), now());
    let ask = Message::Graft(vec![record.id()]);
    let at = Duration::from_secs(20);
    let served =
        |side: &mut Side, at| (0..2000).map(|_| said(&side.hear(2, &ask, at), 2).len()).sum::<usize>();
    assert_eq!(served(&mut sides[0], at), 512);
    let served = served(&mut sides[0], at + Duration::from_secs(1));
    assert_eq!(served, 64);
}

/// A node may say what it likes of itself, and nothing of another.
#[test]
fn nobody_writes_or_speaks_in_anothers_name() {
    let mut sides = three();
    let at = Duration::from_secs(20);
    let alien = own_record(&testing::endpoint("billing", "node-3", "r-1"), 1, &node_key(2)).encode();
    sides[0].hear(2, &Message::Records { session: 0, last: false, records: vec![alien] }, at);
    assert_eq!(sides[0].core.ids().count(), 0);

    let datagram = run(&mut sides, Vec::new(), Duration::from_secs(22))
        .into_iter()
        .find_map(|(from, output)| match output {
            Output::Send { to, class: Class::Datagram, bytes }
                if from == id(3) && to == id(1) && bytes[1] == 1 =>
            {
                Some(bytes)
            }
            _ => None,
        })
        .unwrap();
    let relayed = Input::Received { from: id(2), class: Class::Datagram, bytes: datagram };
    assert_eq!(offence(&sides[0].step(relayed, Duration::from_secs(22))), Some(&Offence::Spoofed));
}

#[test]
fn strangers_and_clocks_of_the_future_are_not_members() {
    let member = |number: u8, generation| {
        let name = node_name(&format!("node-{number}"));
        foca::Member::alive(Peer::new(id(number), generation, name, Vec::new()))
    };
    let mut side = Side::new(1, authority());
    let later = now() + Duration::from_secs(25 * 3600);
    let members = vec![member(3, now().as_millis()), member(2, later.as_millis())];
    side.hear(2, &Message::Members { of: 1, back: Vec::new(), members }, Duration::ZERO);
    assert_eq!(side.net.members().len(), 0);
    let members = vec![member(2, now().as_millis())];
    side.hear(2, &Message::Members { of: 1, back: Vec::new(), members }, Duration::ZERO);
    assert_eq!(side.net.members().map(|peer| peer.id).collect::<Vec<_>>(), [id(2)]);
}

#[test]
fn who_speaks_of_us_under_a_higher_generation_is_outdone() {
    let mut sides = three();
    let claimed = sides[0].net.me().generation + 1000;
    let lie = Peer::new(id(1), claimed, node_name("node-1"), vec![([6, 6, 6, 6], 66).into()]);
    let message = Message::Members { of: 1, back: Vec::new(), members: vec![foca::Member::alive(lie)] };
    let at = Duration::from_secs(20);
    let mut heard: Vec<(PeerId, Vec<Output>)> = (0..3)
        .map(|i| (id(u8::try_from(i + 1).unwrap()), sides[i].hear(if i == 1 { 3 } else { 2 }, &message, at)))
        .collect();
    heard.reverse();
    run(&mut sides, heard, Duration::from_secs(60));
    assert!(sides[0].net.me().generation > claimed);
    for side in &sides[1..] {
        let seen = side.net.members().find(|peer| peer.id == id(1)).unwrap();
        assert_eq!(seen.addresses(), [([127, 0, 0, 1], 7001).into()]);
    }
}

#[test]
fn a_flood_is_cut_off_and_told_once_a_second() {
    let mut side = Side::new(1, authority());
    let message = Message::Want { session: 9, ids: Vec::new() };
    let told = (0..500).filter(|_| offence(&side.hear(2, &message, Duration::ZERO)).is_some()).count();
    assert_eq!(told, 1);
    assert_eq!(side.net.counters().reliable_out.0, 64);
    let later = side.hear(2, &message, Duration::from_secs(1));
    assert!(offence(&later).is_none());
    assert!(later.iter().any(|output| matches!(output, Output::Send { .. })));
}

/// What reconciliation brings is taken, since a joining node takes everything at once; it is not all told on.
#[test]
fn a_writer_who_writes_too_much_is_not_spread() {
    let mut sides = three();
    let batch = |from: u64| {
        let record =
            |n| own_record(&testing::endpoint(&format!("app-{n}"), "node-2", "r-1"), n, &node_key(2));
        Message::Records {
            session: 0,
            last: false,
            records: (from..from + 50).map(|n| record(n).encode()).collect(),
        }
    };
    let mut told_on = 0;
    for chunk in 0..14 {
        let out = sides[0].hear(2, &batch(1 + 50 * chunk), Duration::from_secs(20));
        let to_3 = |output: &&Output| matches!(output, Output::Send { to, .. } if *to == id(3));
        told_on += out.iter().filter(to_3).count();
    }
    assert_eq!(sides[0].core.ids().count(), 700);
    assert_eq!(told_on, 512);
}

/// The mesh no longer admits a key: its node is no member any more, however alive it is.
#[test]
fn who_is_no_longer_admitted_is_expelled() {
    let mut sides = three();
    for side in &mut sides[..2] {
        side.core.handle(crate::Input::Authority(authority()), now());
    }
    run(&mut sides, Vec::new(), Duration::from_secs(90));
    for side in &sides[..2] {
        assert!(side.net.members().all(|peer| peer.id != id(3)));
        assert!(side.net.lost().all(|(peer, _)| peer != id(3)), "and nobody calls on it");
    }
}

/// A process that was stopped finds answers unread and suspicions run out: that is nobody's death.
#[test]
fn our_own_lag_is_no_reason_to_accuse() {
    let mut sides = three();
    let late = Duration::from_secs(50);
    let out = sides[0].step(Input::Timer, late);
    assert_eq!(sides[0].net.counters().lags, 1);
    assert!(!out.iter().any(|output| matches!(output, Output::Member(Event::Down(_)))), "{out:?}");
    let first_probe = out.iter().any(|output| matches!(output, Output::Timer(at) if *at < late));
    assert!(!first_probe, "nothing is overdue after it");
    assert_eq!(sides[0].net.members().len(), 2);
}

#[test]
fn who_leaves_is_not_dead() {
    let mut sides = three();
    let out = sides[2].step(Input::Leave, Duration::from_secs(20));
    let log = run(&mut sides[..2], vec![(id(3), out)], Duration::from_secs(30));
    let left = log.iter().filter(|(_, output)| *output == Output::Member(Event::Left(id(3)))).count();
    assert_eq!(left, 2);
    assert!(!log.iter().any(|(_, output)| matches!(output, Output::Member(Event::Down(_) | Event::Dead(_)))));
    assert!(sides[2].step(Input::Timer, Duration::from_secs(30)).is_empty());
}

#[test]
fn a_death_counts_for_placement_five_seconds_later() {
    let mut sides = three();
    let log = {
        let (here, _) = sides.split_at_mut(2);
        run(here, Vec::new(), Duration::from_secs(40))
    };
    let down =
        log.iter().position(|(who, o)| *who == id(1) && *o == Output::Member(Event::Down(id(3)))).unwrap();
    let dead =
        log.iter().position(|(who, o)| *who == id(1) && *o == Output::Member(Event::Dead(id(3)))).unwrap();
    assert!(down < dead);
    assert_eq!(sides[0].net.lost().collect::<Vec<_>>(), [(id(3), true)]);
}

#[test]
fn a_later_version_or_kind_is_passed_over_and_garbage_is_not() {
    let mut side = Side::new(1, authority());
    for bytes in [vec![2, 1, 9, 9], vec![1, 14], vec![1, 255, 0]] {
        let out = side.step(Input::Received { from: id(2), class: Class::Reliable, bytes }, Duration::ZERO);
        assert_eq!(offence(&out), None);
    }
    assert_eq!(side.net.counters().unknown, 3);
    let out =
        side.step(Input::Received { from: id(2), class: Class::Datagram, bytes: vec![1] }, Duration::ZERO);
    assert!(matches!(offence(&out), Some(Offence::Malformed(_))));
    let long = Input::Received { from: id(2), class: Class::Datagram, bytes: vec![0; MAX_DATAGRAM + 1] };
    assert!(matches!(offence(&side.step(long, Duration::from_secs(2))), Some(Offence::Malformed(_))));
    let _ = operator(0);
}
