//! Shares: the weight of each app of a node, from its baseline and what is free.

/// What one app wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Its baseline, in thousandths of a CPU.
    pub milli: u64,
    /// Whether it pays for more.
    pub bursts: bool,
}

/// The weight of each app, in thousandths of a CPU and the same order: its baseline, and of what is free of a node of
/// `capacity` those that pay get a part each in proportion to their baselines.
#[must_use]
pub fn shares(capacity: u64, wants: &[Want]) -> Vec<u64> {
    let sum = |all: &mut dyn Iterator<Item = u64>| all.map(u128::from).sum::<u128>();
    let free = u128::from(capacity).saturating_sub(sum(&mut wants.iter().map(|want| want.milli)));
    let paying = sum(&mut wants.iter().filter(|want| want.bursts).map(|want| want.milli)).max(1);
    let share = |want: &Want| {
        let more = if want.bursts { free * u128::from(want.milli) / paying } else { 0 };
        want.milli.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
    };
    wants.iter().map(share).collect()
}

/// Whether a weight is so far from another (a fiftieth) that it is worth telling the kernel.
#[must_use]
pub fn differs(now: u64, wanted: u64) -> bool {
    u128::from(now.abs_diff(wanted)) * 50 > u128::from(now)
}

/// Whether a replica that used so many thousandths of a CPU goes first when it wakes, before those that use what is
/// theirs: while it uses less than half of its baseline. One that doesn't has to come below a quarter, so that none goes
/// to and fro.
#[must_use]
pub const fn goes_first(does: bool, baseline: u64, used: u64) -> bool {
    used.saturating_mul(if does { 2 } else { 4 }) < baseline
}
