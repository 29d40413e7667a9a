//! Which release of an app runs, and how many replicas of it.

use std::collections::BTreeMap;

use genome::{Budget, Failure, Observed, Plan, Release};
use types::{NodeName, Nutrients};

/// The release that runs, and why it is not the plan's, when it isn't. While `only_canaries` run it, one failure
/// is enough.
pub(crate) fn release<'a>(
    plan: &'a Plan,
    observed: &[&Observed],
    only_canaries: bool,
) -> (&'a Release, Option<String>) {
    let Some(previous) = &plan.previous else { return (&plan.release, None) };
    let revision = plan.release.revision();
    if previous.release.revision() == revision {
        return (&plan.release, None);
    }
    let failed: BTreeMap<&NodeName, &Failure> = observed
        .iter()
        .filter_map(|seen| Some((&seen.node_id, seen.failed.as_ref()?)))
        .filter(|(_, failure)| failure.revision == revision)
        .collect();
    let bearable = if only_canaries { 0 } else { plan.rollout.max_failed as usize };
    if failed.len() <= bearable {
        return (&plan.release, None);
    }
    // The earliest failure is the one that says most; which node comes first must not depend on the input.
    let first = failed.iter().min_by_key(|(node, failure)| (failure.at, *node));
    let (node, failure) = first.expect("more than max_failed is at least one");
    let others = match failed.len() - 1 {
        0 => String::new(),
        1 => " and one more node".to_owned(),
        more => format!(" and {more} more nodes"),
    };
    let (this, before) = (called(&plan.release), called(&previous.release));
    let reason = format!("{this} failed on {node}{others}: {}; {before} runs instead", failure.reason);
    (&previous.release, Some(reason))
}

/// How many replicas there should be: what is asked for, within the budget.
pub(crate) fn wanted(asked: u32, each: Nutrients, budget: Option<&Budget>) -> u32 {
    budget.map_or(asked, |budget| asked.min(budget.instances(each)))
}

/// How people call a release.
pub(crate) fn called(release: &Release) -> String {
    if release.version.is_empty() { release.digest.short() } else { release.version.clone() }
}
