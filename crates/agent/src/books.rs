//! The books of a node: the credits of every app that runs here, and the weights that follow from them.
//!
//! Decides on what was read and on what the records say; whoever asks writes rows down and tells the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fabric::View;
use genome::{Credit, Gift, Node};
use membrane::Limits;
use nutrients::{Account, Row, Rules, Want};
use types::{AppName, NodeName};

use crate::core::LaunchId;
use crate::sample::{Sample, Samples, Standing};

/// Credits are passed on to so many nodes at most.
const HEIRS: usize = 8;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Deed {
    /// Publish this row, and [settle](Books::settle) once it is safe.
    Write(Credit),
    /// Take the row of an app that is gone back.
    Remove(AppName),
    /// Hold a replica to these limits.
    Weigh(LaunchId, Limits),
}

/// The books of one node.
#[derive(Debug)]
pub struct Books {
    rules: Rules,
    /// How long an app has no replica here before what it has left is passed on, and how long it has one before others
    /// are told that it may be given some: most come back, or are gone again.
    settled: Duration,
    open: BTreeMap<AppName, Open>,
}

/// The account of one app.
#[derive(Debug)]
struct Open {
    account: Account,
    /// Since when it has been as it is: with replicas here, or without.
    hosts: bool,
    since: Duration,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, settled: Duration::from_micros(rules.every), open: BTreeMap::new() }
    }

    /// What an app has left here.
    #[must_use]
    pub fn credits(&self, app: &AppName) -> u64 {
        self.open.get(app).map_or(0, |open| open.account.balance())
    }

    /// Whether there is something to do though nobody runs.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.open.values().any(|open| open.account.balance() > 0 || open.account.is_unwritten())
    }

    /// Takes up what was used between two readings, and what others wrote.
    pub fn tick(&mut self, node: &Node, view: &View, before: &Samples, now: &mut Samples) -> Vec<Deed> {
        let me = &node.node_id;
        let used = used(before, now);
        let mut deeds = self.open_and_close(me, view, &used, now);
        let micros = u64::try_from(now.mono.saturating_sub(before.mono).as_micros()).unwrap_or(u64::MAX);
        let micros = if before.at.is_none() { 0 } else { micros };
        for (app, open) in &mut self.open {
            let Used { milli, counted, cpu, .. } = used.get(app).copied().unwrap_or_default();
            open.account.tick(&self.rules, milli, micros, (nutrients::portion(counted, micros), cpu));
            open.listen(&self.rules, (me, app), milli, view);
            if open.hosts
                && now.mono >= open.since + self.settled
                && !view.credits.contains_key(&(app.clone(), me.clone()))
            {
                open.account.announce();
            }
            let row = if open.hosts || open.account.is_unwritten() {
                open.account.write(&self.rules, milli)
            } else if now.mono >= open.since + self.settled {
                open.pass_on(&self.rules, &heirs(me, app, view))
            } else {
                None
            };
            deeds.extend(row.map(|row| Deed::Write(credit(me, app, row))));
        }
        deeds.extend(self.weigh(node, &used, now));
        deeds
    }

    /// What was to be written of an app is safe, or could not be written.
    pub fn settle(&mut self, app: &AppName, safe: bool) {
        if let Some(open) = self.open.get_mut(app) {
            open.account.settle(safe);
        }
    }

    /// The rows with all that is left, for the agent after this one.
    pub fn close(&mut self, me: &NodeName) -> Vec<Credit> {
        let rows = std::mem::take(&mut self.open).into_iter().filter_map(|(app, open)| {
            let before = open.account.row().clone();
            let row = open.account.close();
            (row != before).then(|| credit(me, &app, row))
        });
        rows.collect()
    }

    /// Opens an account for each app that runs here or has a row of this node, and closes those of apps that are gone.
    fn open_and_close(
        &mut self,
        me: &NodeName,
        view: &View,
        used: &BTreeMap<AppName, Used>,
        now: &Samples,
    ) -> Vec<Deed> {
        let own = view.credits.iter().filter(|((_, node), _)| node == me);
        let rows: BTreeMap<&AppName, &Credit> = own.map(|((app, _), row)| (app, &**row)).collect();
        let apps: BTreeSet<&AppName> = used.keys().chain(rows.keys().copied()).collect();
        let life = now.at.map_or(0, |at| at.as_millis());
        for app in apps {
            let hosts = used.contains_key(app);
            let open = self.open.entry(app.clone()).or_insert_with(|| {
                let row = rows.get(app).map_or_else(|| Row::new(life), |credit| row(credit));
                Open { account: Account::resume(row), hosts, since: now.mono }
            });
            if open.hosts != hosts {
                (open.hosts, open.since) = (hosts, now.mono);
            }
        }
        let over = |app: &AppName| !used.contains_key(app) && !view.plans.contains_key(app);
        let gone = self.open.extract_if(.., |app, _| over(app)).map(|(app, _)| app);
        gone.filter(|app| rows.contains_key(app)).map(Deed::Remove).collect()
    }

    /// Says what each replica is to be held to, as far as that is news to the kernel, and how each app stands.
    fn weigh(&self, node: &Node, used: &BTreeMap<AppName, Used>, now: &mut Samples) -> Vec<Deed> {
        let bursts = |app| self.open.get(app).is_some_and(|open| open.account.bursts());
        let wants: Vec<Want> =
            used.iter().map(|(app, used)| Want { milli: used.milli, bursts: bursts(app) }).collect();
        let shares = nutrients::shares(node.capacity.cpu_milli, &wants);
        for (((app, used), want), weight_milli) in used.iter().zip(&wants).zip(shares) {
            let Some(Open { account, .. }) = self.open.get(app) else { continue };
            let standing = Standing {
                baseline_milli: want.milli,
                used_milli: used.rate,
                credits: account.balance(),
                cap: account.cap(&self.rules, want.milli),
                weight_milli,
                bursts: want.bursts,
            };
            now.apps.insert(app.clone(), standing);
        }
        let news = now.replicas.iter().filter_map(|sample| {
            let (before, baseline) = (sample.limits.first, sample.nutrients.cpu_milli);
            let first = sample.cpu_milli.map_or(before, |used| nutrients::goes_first(before, baseline, used));
            let limits =
                Limits { cpu_milli: part(sample, now.apps.get(&sample.app)?), first, ..sample.limits };
            let differs = nutrients::differs(sample.limits.cpu_milli.into(), limits.cpu_milli.into());
            let differs = differs || first != before;
            (sample.nutrients.cpu_milli > 0 && differs).then(|| Deed::Weigh(sample.launch.clone(), limits))
        });
        news.collect()
    }
}

impl Open {
    /// Takes up what the records say: this node's own row, and what others pass on to it.
    fn listen(&mut self, rules: &Rules, (me, app): (&NodeName, &AppName), milli: u64, view: &View) {
        for credit in view.credits_of(app) {
            let theirs = row(credit);
            if credit.node_id == *me {
                self.account.remember(&theirs);
            } else {
                self.account.take(rules, milli, (me, &credit.node_id), &theirs);
            }
        }
    }

    fn pass_on(&mut self, rules: &Rules, heirs: &[(NodeName, u64, u64)]) -> Option<Row> {
        if heirs.is_empty() {
            return None;
        }
        match self.account.leave() {
            Some(row) => Some(row),
            None if self.account.give(heirs) > 0 => self.account.write(rules, 0),
            None => None,
        }
    }
}

/// What the replicas of one app used since the reading before.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// What they are planned with, in thousandths of a CPU.
    milli: u64,
    /// The same of those that were read before.
    counted: u64,
    /// What these used: in microseconds,
    cpu: u64,
    /// and in thousandths of a CPU.
    rate: u64,
}

fn used(before: &Samples, now: &Samples) -> BTreeMap<AppName, Used> {
    let mut apps: BTreeMap<AppName, Used> = BTreeMap::new();
    for sample in now.replicas.iter().filter(|sample| sample.nutrients.cpu_milli > 0) {
        let Some(total) = sample.usage.cpu_usec else { continue };
        let used = apps.entry(sample.app.clone()).or_default();
        used.milli = used.milli.saturating_add(sample.nutrients.cpu_milli);
        // of one that is seen for the first time it isn't known since when it used what it did
        if let Some(then) = before.of(&sample.launch).and_then(|then| then.usage.cpu_usec) {
            used.counted = used.counted.saturating_add(sample.nutrients.cpu_milli);
            used.cpu = used.cpu.saturating_add(total.saturating_sub(then));
        }
        used.rate = used.rate.saturating_add(sample.cpu_milli.unwrap_or(0));
    }
    apps
}

/// A replica's part of its app's weight: as large as its part of the baseline.
fn part(sample: &Sample, standing: &Standing) -> u32 {
    let whole = u128::from(standing.weight_milli) * u128::from(sample.nutrients.cpu_milli);
    u32::try_from(whole / u128::from(standing.baseline_milli.max(1))).unwrap_or(u32::MAX).max(1)
}

/// The nodes that can be given what is left: they run ready replicas and have a row; its life, and how many.
fn heirs(me: &NodeName, app: &AppName, view: &View) -> Vec<(NodeName, u64, u64)> {
    let mut ready: BTreeMap<&NodeName, u64> = BTreeMap::new();
    for endpoint in view.endpoints_of(app).filter(|endpoint| endpoint.is_ready() && endpoint.node_id != *me) {
        *ready.entry(&endpoint.node_id).or_default() += 1;
    }
    let mut heirs: Vec<(NodeName, u64, u64)> = ready
        .into_iter()
        .filter_map(|(node, count)| {
            let row = view.credits.get(&(app.clone(), node.clone()))?;
            Some((node.clone(), row.life, count))
        })
        .collect();
    heirs.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.0.cmp(&other.0)));
    heirs.truncate(HEIRS);
    heirs
}

fn row(credit: &Credit) -> Row {
    let gifts = |gifts: &BTreeMap<NodeName, Gift>| {
        let gift = |gift: &Gift| nutrients::Gift { life: gift.life, micros: gift.micros };
        gifts.iter().map(|(node, one)| (node.clone(), gift(one))).collect()
    };
    let Credit { life, earned, spent, given, taken, .. } = credit;
    Row { life: *life, earned: *earned, spent: *spent, given: gifts(given), taken: gifts(taken) }
}

fn credit(node: &NodeName, app: &AppName, row: Row) -> Credit {
    let gifts = |gifts: BTreeMap<NodeName, nutrients::Gift>| {
        let gift = |gift: nutrients::Gift| Gift { life: gift.life, micros: gift.micros };
        gifts.into_iter().map(|(node, one)| (node, gift(one))).collect()
    };
    let Row { life, earned, spent, given, taken } = row;
    let (given, taken) = (gifts(given), gifts(taken));
    Credit { node_id: node.clone(), app_name: app.clone(), life, earned, spent, given, taken }
}

#[cfg(test)]
mod tests;
