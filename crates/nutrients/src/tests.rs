//! Whatever happens between nodes, no credit is made, and none is spent twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use types::NodeName;

use crate::{Account, Row, Rules, Want, differs, goes_first, shares};

const NODES: usize = 3;
const MILLI: u64 = 500;
const SECOND: u64 = 1_000_000;
/// What the baseline comes to in a second.
const DUE: u64 = MILLI * 1000;

fn node(number: usize) -> NodeName {
    NodeName::new(&format!("node-{number}")).unwrap()
}

fn rules() -> Rules {
    Rules { span: 6 * SECOND, every: 2 * SECOND, least: SECOND }
}

#[derive(Debug, Clone)]
enum Step {
    Tick {
        node: usize,
        used: u64,
    },
    Write {
        node: usize,
    },
    Leave {
        node: usize,
    },
    Give {
        node: usize,
        to: usize,
    },
    /// All that is left, with all that takes.
    Pass {
        node: usize,
        to: usize,
    },
    /// What was written last is on disk, or could not be written.
    Settle {
        node: usize,
        safe: bool,
    },
    Crash {
        node: usize,
    },
    /// Any row that was ever written, the last ones above all, at any time, any number of times.
    Hear {
        node: usize,
        pick: usize,
    },
    /// The app is gone from a node, and deployed again.
    Anew {
        node: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        6 => (node.clone(), prop_oneof![Just(0), 0..3 * SECOND]).prop_map(|(node, used)| Step::Tick { node, used }),
        4 => node.clone().prop_map(|node| Step::Write { node }),
        2 => node.clone().prop_map(|node| Step::Leave { node }),
        3 => (node.clone(), node.clone()).prop_map(|(node, to)| Step::Give { node, to }),
        4 => (node.clone(), prop::bool::weighted(0.7)).prop_map(|(node, safe)| Step::Settle { node, safe }),
        2 => node.clone().prop_map(|node| Step::Crash { node }),
        3 => (node.clone(), node.clone()).prop_map(|(node, to)| Step::Pass { node, to }),
        8 => (node.clone(), prop_oneof![0..4_usize, any::<usize>()]).prop_map(|(node, pick)| Step::Hear { node, pick }),
        2 => node.prop_map(|node| Step::Anew { node }),
    ]
}

/// A mesh of accounts, and what a crash leaves of each.
struct World {
    accounts: Vec<Account>,
    durable: Vec<Row>,
    unsafe_yet: Vec<Option<Row>>,
    written: Vec<(usize, Row)>,
    lives: u64,
    earned: u128,
    paid: u128,
}

impl World {
    fn new() -> Self {
        let rows: Vec<Row> = (0..NODES as u64).map(|number| Row::new(number + 1)).collect();
        Self {
            accounts: rows.iter().cloned().map(Account::resume).collect(),
            written: rows.iter().cloned().enumerate().collect(),
            durable: rows,
            unsafe_yet: vec![None; NODES],
            lives: NODES as u64,
            earned: 0,
            paid: 0,
        }
    }

    fn wrote(&mut self, node: usize, row: Option<Row>) {
        if let Some(row) = row {
            self.written.push((node, row.clone()));
            self.unsafe_yet[node] = Some(row);
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Tick { node, used } => {
                let before = self.accounts[node].balance();
                self.accounts[node].tick(&rules(), MILLI, SECOND, (DUE, used));
                let after = self.accounts[node].balance();
                self.earned += u128::from(after.saturating_sub(before));
                self.paid += u128::from(before.saturating_sub(after));
            }
            Step::Write { node } => {
                let row = self.accounts[node].write(&rules(), MILLI);
                self.wrote(node, row);
            }
            Step::Leave { node } => {
                let row = self.accounts[node].leave();
                self.wrote(node, row);
            }
            Step::Give { node: from, to } if from != to => {
                let life = self.accounts[to].row().life;
                let before = self.accounts[from].balance();
                let given = self.accounts[from].give(&[(node(to), life, 1)]);
                assert_eq!(before - given, self.accounts[from].balance(), "a gift conserves the sum");
            }
            Step::Give { .. } => {}
            Step::Pass { node, to } => {
                let settle = Step::Settle { node, safe: true };
                for step in [&settle, &Step::Leave { node }, &settle, &Step::Give { node, to }] {
                    self.take(step);
                }
                self.take(&Step::Write { node });
                self.take(&settle);
            }
            Step::Settle { node, safe } => {
                if let Some(row) = self.unsafe_yet[node].take() {
                    if safe {
                        self.durable[node] = row;
                    }
                    self.accounts[node].settle(safe);
                }
            }
            Step::Crash { node } => {
                self.accounts[node] = Account::resume(self.durable[node].clone());
                self.unsafe_yet[node] = None;
            }
            Step::Hear { node: me, pick } => {
                let (from, row) = self.written[self.written.len() - 1 - pick % self.written.len()].clone();
                let before = self.accounts[me].balance();
                if from == me {
                    self.accounts[me].remember(&row);
                } else {
                    self.accounts[me].take(&rules(), MILLI, (&node(me), &node(from)), &row);
                    assert!(self.accounts[me].balance() >= before, "what was taken is not lost");
                }
            }
            Step::Anew { node } => {
                self.lives += 1;
                let row = Row::new(self.lives);
                self.accounts[node] = Account::resume(row.clone());
                (self.durable[node], self.unsafe_yet[node]) = (row.clone(), None);
                self.written.push((node, row));
            }
        }
    }

    /// What was given and may still be taken.
    fn under_way(&self) -> u128 {
        let mut gifts: BTreeMap<(usize, u64, usize), u64> = BTreeMap::new();
        let held = self.accounts.iter().map(|account| account.row().clone()).enumerate();
        for (from, row) in self.written.iter().cloned().chain(held) {
            for to in 0..NODES {
                let gift = row.given.get(&node(to)).copied().unwrap_or_default();
                if gift.life == self.accounts[to].row().life {
                    let most = gifts.entry((from, row.life, to)).or_default();
                    *most = gift.micros.max(*most);
                }
            }
        }
        let left = gifts.into_iter().map(|((from, life, to), micros)| {
            let taken = self.accounts[to].row().taken.get(&node(from)).copied().unwrap_or_default();
            match taken.life.cmp(&life) {
                std::cmp::Ordering::Less => micros,
                std::cmp::Ordering::Equal => micros.saturating_sub(taken.micros),
                std::cmp::Ordering::Greater => 0,
            }
        });
        left.map(u128::from).sum()
    }

    fn check(&self) {
        let held: u128 = self.accounts.iter().map(|account| u128::from(account.balance())).sum();
        let sum = held + self.paid + self.under_way();
        assert!(sum <= self.earned, "{held} left, {} paid of {} earned", self.paid, self.earned);
        for account in &self.accounts {
            assert!(account.balance() <= account.cap(&rules(), MILLI), "{account:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_credit_is_made_and_none_is_spent_twice(steps in prop::collection::vec(step(), 0..300)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check();
        }
    }

    #[test]
    fn rows_merge_to_the_same_whatever_the_order(
        steps in prop::collection::vec(step(), 0..200),
        picks in prop::collection::vec(any::<usize>(), 1..12),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        let of_one: Vec<&Row> = world.written.iter().filter(|(of, _)| *of == 0).map(|(_, row)| row).collect();
        let rows: Vec<&Row> = picks.iter().map(|pick| of_one[pick % of_one.len()]).collect();
        let all = rows.iter().fold(Row::default(), |merged, row| merged.merge(row));
        let back = rows.iter().rev().fold(Row::default(), |merged, row| merged.merge(row));
        prop_assert_eq!(&all, &back);
        for row in &rows {
            prop_assert_eq!(&all.clone().merge(row), &all);
        }
        let (left, right) = rows.split_at(rows.len() / 2);
        let half = |rows: &[&Row]| rows.iter().fold(Row::default(), |merged, row| merged.merge(row));
        prop_assert_eq!(half(left).merge(&half(right)), all);
    }

    #[test]
    fn shares_are_the_baseline_and_a_fair_part_of_what_is_free(
        capacity in 0..100_000_u64,
        wants in prop::collection::vec((1..5000_u64, any::<bool>()), 0..20),
    ) {
        let wants: Vec<Want> = wants.into_iter().map(|(milli, bursts)| Want { milli, bursts }).collect();
        let shares = shares(capacity, &wants);
        let (sum, baselines) = (shares.iter().sum::<u64>(), wants.iter().map(|want| want.milli).sum::<u64>());
        prop_assert!(sum <= capacity.max(baselines), "no more is given than there is");
        let paying: Vec<(&Want, u64)> =
            wants.iter().zip(shares.iter().copied()).filter(|(want, _)| want.bursts).collect();
        if !paying.is_empty() {
            prop_assert!(sum + paying.len() as u64 >= capacity.max(baselines), "nothing that is free is withheld");
        }
        for (want, share) in wants.iter().zip(&shares) {
            prop_assert!(*share >= want.milli && (want.bursts || *share == want.milli));
        }
        for pair in paying.windows(2) {
            let [(one, its), (other, theirs)] = pair else { unreachable!() };
            let (a, b) = (its * other.milli, theirs * one.milli);
            prop_assert!(a.abs_diff(b) <= one.milli.max(other.milli), "in proportion to their baselines");
        }
    }
}

#[test]
fn what_is_left_over_is_kept_up_to_the_cap_and_pays_for_more() {
    let rules = Rules::default();
    let mut account = Account::resume(Row::new(1));
    for _ in 0..1000 {
        account.tick(&rules, MILLI, SECOND, (DUE, 0));
    }
    assert_eq!((account.balance(), account.cap(&rules, MILLI)), (300 * SECOND, 300 * SECOND));
    assert!(!account.bursts(), "nothing was asked for");
    account.tick(&rules, MILLI, SECOND, (DUE, 2 * SECOND));
    let row = account.write(&rules, MILLI).unwrap();
    assert_eq!(row.balance().unwrap() + 180 * SECOND, 300 * SECOND, "two minutes at this pace are put aside");
    assert!(!account.bursts(), "until it is safe, nothing is spent");
    assert!(account.write(&rules, MILLI).is_none(), "one at a time");
    account.settle(true);
    assert!(account.bursts());
    let crashed = Account::resume(row);
    assert!(crashed.balance() < account.balance());
    for _ in 0..200 {
        account.tick(&rules, MILLI, SECOND, (DUE, 2 * SECOND));
        if account.write(&rules, MILLI).is_some() {
            account.settle(true);
        }
    }
    assert_eq!((account.balance(), account.bursts()), (0, false), "it paid all that it had");
    account.tick(&rules, MILLI, SECOND, (DUE, 2 * SECOND));
    assert_eq!(account.balance(), 0, "never less than nothing");
}

#[test]
fn what_could_not_be_written_is_not_spent() {
    let rules = Rules::default();
    let mut account = Account::resume(Row::new(1));
    (0..100).for_each(|_| account.tick(&rules, MILLI, SECOND, (DUE, 0)));
    account.tick(&rules, MILLI, SECOND, (DUE, SECOND));
    assert!(account.write(&rules, MILLI).is_some());
    account.settle(false);
    assert!(!account.bursts(), "a crash would bring back what was spent of it");
}

#[test]
fn a_row_is_written_about_once_a_minute_at_most_while_the_pace_holds() {
    for used in [0, SECOND / 4, SECOND, 2 * SECOND, 8 * SECOND] {
        let rules = Rules::default();
        let mut account = Account::resume(Row::new(1));
        let mut written = 0;
        for second in 0..7200_u64 {
            // ten minutes idle, ten minutes as busy as that
            let used = if second % 1200 < 600 { 0 } else { used };
            account.tick(&rules, MILLI, SECOND, (DUE, used));
            if account.write(&rules, MILLI).is_some() {
                written += 1;
                account.settle(true);
            }
        }
        assert!(written <= 120, "{written} in two hours at {used}");
    }
}

#[test]
fn credits_follow_the_replicas_once() {
    let rules = Rules::default();
    let mut here = Account::resume(Row::new(7));
    let mut there = Account::resume(Row::new(9));
    (0..100).for_each(|_| here.tick(&rules, MILLI, SECOND, (DUE, 0)));
    assert_eq!(here.give(&[(node(1), 9, 1)]), 0, "not before it is safe that it isn't spent here");
    assert!(here.leave().is_some());
    here.settle(true);
    assert_eq!(here.give(&[(node(1), 9, 1), (node(2), 3, 2)]), 50 * SECOND);
    let row = here.write(&rules, MILLI).unwrap();
    for _ in 0..3 {
        there.take(&rules, MILLI, (&node(1), &node(0)), &row);
    }
    assert_eq!(there.balance(), 50 * SECOND / 3);
    let mut reborn = Account::resume(Row::new(10));
    reborn.take(&rules, MILLI, (&node(1), &node(0)), &row);
    assert_eq!(reborn.balance(), 0, "what its former life was given is void");
    here.settle(true);
    assert_eq!((here.balance(), here.leave()), (0, None));
}

#[test]
fn what_a_former_row_gave_is_taken_before_the_next_ones_or_never() {
    let giver = |life| {
        let mut row = Row { earned: 10, ..Row::new(life) };
        assert_eq!(row.give(&node(1), 9, 10), 10);
        row
    };
    let (former, next) = (giver(5), giver(6));
    let mut row = Row::new(9);
    let mut taken = Vec::new();
    for theirs in [&former, &next, &former, &next] {
        taken.push(row.take(&node(1), &node(0), theirs, 100));
    }
    assert_eq!((taken, row.balance()), (vec![10, 10, 0, 0], Some(20)));
}

#[test]
fn the_kernel_is_told_of_more_than_a_fiftieth() {
    assert!(!differs(1000, 1020) && !differs(1000, 980) && differs(1000, 1021) && differs(1000, 979));
    assert!(differs(0, 1) && !differs(0, 0));
}

#[test]
fn who_uses_little_of_its_own_goes_first_and_not_to_and_fro() {
    assert!(goes_first(true, 1000, 499) && !goes_first(true, 1000, 500));
    assert!(goes_first(false, 1000, 249) && !goes_first(false, 1000, 250));
    for used in 250..500 {
        assert!(goes_first(true, 1000, used) && !goes_first(false, 1000, used), "{used}: it stays as it is");
    }
    assert!(!goes_first(true, 0, 0) && !goes_first(true, u64::MAX, u64::MAX));
}
