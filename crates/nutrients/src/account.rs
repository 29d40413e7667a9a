//! An account: a row with what has happened since it was last written down.
//!
//! What was earned may be forgotten in a crash; what was spent or given may not. So credits are put aside in the row, and
//! that is made safe, before they are spent or given, a minute's worth at a time: a crash loses what was put aside, and
//! makes nothing.

use types::NodeName;

use crate::row::Row;

/// This part of all that an app may have is written down once it is earned; a crash forgets less.
const WORTH_WRITING: u64 = 4;

/// What credits are worth, and how often a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The most that an app has on a node: its baseline for so long, in microseconds.
    pub span: u64,
    /// Between two writings of a row, in microseconds, unless what was put aside runs out.
    pub every: u64,
    /// The same when it does.
    pub least: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { span: 600_000_000, every: 60_000_000, least: 10_000_000 }
    }
}

/// One app's credits on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// As it was last written down.
    row: Row,
    /// Earned since.
    pending: u64,
    /// Spent in the row, and not in truth.
    aside: u64,
    /// To be put aside once the row that says so is safe.
    ordered: Option<u64>,
    /// What was paid or would have been in the last tick, a second.
    pace: u64,
    /// Since the row was last written.
    age: u64,
    /// It was given or taken, which others wait for.
    passed: bool,
}

impl Account {
    /// What is known of an account whose row was this when it was last written down.
    #[must_use]
    pub const fn resume(row: Row) -> Self {
        Self { row, pending: 0, aside: 0, ordered: None, pace: 0, age: u64::MAX, passed: false }
    }

    /// The row as it was last written down.
    #[must_use]
    pub const fn row(&self) -> &Row {
        &self.row
    }

    /// Whether others wait for what it would write.
    #[must_use]
    pub const fn is_unwritten(&self) -> bool {
        self.passed
    }

    /// All that is left.
    #[must_use]
    pub fn balance(&self) -> u64 {
        self.free().saturating_add(self.aside).saturating_add(self.ordered.unwrap_or(0))
    }

    /// Whether it has paid for more than its baseline's weight.
    #[must_use]
    pub const fn bursts(&self) -> bool {
        self.aside > 0
    }

    /// What is left and not put aside.
    fn free(&self) -> u64 {
        self.row.balance().unwrap_or(0).saturating_add(self.pending)
    }

    /// Lets `micros` pass in which the app, whose baseline here is `milli` thousandths of a CPU, could have used `due` and
    /// used `used`.
    pub fn tick(&mut self, rules: &Rules, milli: u64, micros: u64, (due, used): (u64, u64)) {
        self.age = self.age.saturating_add(micros);
        if used < due {
            let room = self.cap(rules, milli).saturating_sub(self.balance());
            self.pending = self.pending.saturating_add((due - used).min(room));
            self.pace = 0;
        } else {
            let over = used - due;
            self.aside -= over.min(self.aside);
            let second = u128::from(over) * 1_000_000 / u128::from(micros.max(1));
            self.pace = u64::try_from(second).unwrap_or(u64::MAX);
        }
    }

    /// The most it may have.
    #[must_use]
    pub fn cap(&self, rules: &Rules, milli: u64) -> u64 {
        portion(milli, rules.span)
    }

    /// What is to be written down now, if anything is; to be [settled](Account::settle) when that is safe.
    pub fn write(&mut self, rules: &Rules, milli: u64) -> Option<Row> {
        if self.ordered.is_some() {
            return None;
        }
        let free = self.free();
        let (cap, soon) = (self.cap(rules, milli), self.pace.saturating_mul(5));
        let worth = (cap / 60).max(1);
        // of no use: too little to last, or as much as is known already
        let runs_out = self.pace > 0 && self.aside <= soon && free >= worth && self.age >= rules.least;
        let earned = self.pending >= (cap / WORTH_WRITING).max(1) && self.age >= rules.every;
        if !runs_out && !earned && !self.passed {
            return None;
        }
        let minute = portion(milli, rules.every).max(self.pace.saturating_mul(rules.every / 500_000));
        let ordered = if runs_out { free.min(minute) } else { 0 };
        self.row.earned = self.row.earned.saturating_add(std::mem::take(&mut self.pending));
        self.row.spent = self.row.spent.saturating_add(ordered);
        (self.ordered, self.age, self.passed) = (Some(ordered), 0, false);
        Some(self.row.clone())
    }

    /// What was to be written is safe, or could not be written: then nothing is put aside for it.
    pub fn settle(&mut self, safe: bool) {
        let ordered = self.ordered.take().unwrap_or(0);
        if safe {
            self.aside = self.aside.saturating_add(ordered);
        }
    }

    /// Has the row written next time, for others to pass something on to it.
    pub const fn announce(&mut self) {
        self.passed = true;
    }

    /// Takes notice of this account's row as others have it: what a crash made this node forget.
    pub fn remember(&mut self, known: &Row) {
        if *known != self.row {
            self.row = std::mem::take(&mut self.row).merge(known);
        }
    }

    /// Takes what another node's row passes on to here, as far as there is room.
    pub fn take(&mut self, rules: &Rules, milli: u64, (me, from): (&NodeName, &NodeName), theirs: &Row) {
        let room = self.cap(rules, milli).saturating_sub(self.balance());
        self.passed |= self.row.take(me, from, theirs, room) > 0;
    }

    /// Puts all that is left aside, to be given; the row to be written, if there is something to put aside.
    pub fn leave(&mut self) -> Option<Row> {
        let free = self.free();
        if self.ordered.is_some() || free == 0 {
            return None;
        }
        self.row.earned = self.row.earned.saturating_add(std::mem::take(&mut self.pending));
        self.row.spent = self.row.spent.saturating_add(free);
        (self.ordered, self.age) = (Some(free), 0);
        Some(self.row.clone())
    }

    /// Passes on what is aside to rows of the app elsewhere: to each node, whose row has that life, its part; how much
    /// it was.
    pub fn give(&mut self, to: &[(NodeName, u64, u64)]) -> u64 {
        let (aside, parts) = (self.aside, to.iter().map(|(.., part)| part).sum::<u64>().max(1));
        if self.ordered.is_some() || aside == 0 {
            return 0;
        }
        let mut given = 0;
        for (number, (node, life, part)) in to.iter().enumerate() {
            let last = number + 1 == to.len();
            let portion = u128::from(aside) * u128::from(*part) / u128::from(parts);
            let micros = if last { aside - given } else { u64::try_from(portion).unwrap_or(0) };
            let mut row = self.row.clone();
            // it was never spent
            row.earned = row.earned.saturating_add(micros);
            if row.give(node, *life, micros) == micros {
                self.row = row;
                given += micros;
            }
        }
        self.aside -= given;
        self.passed |= given > 0;
        given
    }

    /// The row with all that is left, for whoever comes next: nothing is spent any more.
    #[must_use]
    pub fn close(mut self) -> Row {
        self.row.earned = self.row.earned.saturating_add(self.pending).saturating_add(self.aside);
        self.row
    }
}

/// `milli` thousandths of a CPU for so long.
#[must_use]
pub fn portion(milli: u64, micros: u64) -> u64 {
    u64::try_from(u128::from(milli) * u128::from(micros) / 1000).unwrap_or(u64::MAX)
}
