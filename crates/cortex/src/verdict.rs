//! Verdicts: for every node one sentence why it runs, or doesn't run, a replica of an app (`mesh why`).

use std::collections::BTreeMap;

use types::{AppName, NodeName};

use crate::place::Placement;
use crate::room::Misfit;
use crate::{AppDecision, Decision, World};

/// So many names stand in a sentence.
const MAX_NAMES: usize = 5;

/// Why each live node runs or doesn't run a replica of `app`, as `decision` (made from `world`) has it. Empty
/// for an app without a plan. Not part of a decision: it is asked for rarely, and by people.
#[must_use]
pub fn verdicts(world: &World, decision: &Decision, app: &AppName) -> BTreeMap<NodeName, String> {
    let mut placement = Placement::new(world);
    let Ok(asked) = placement.apps.binary_search_by_key(&app, |app| app.name) else { return BTreeMap::new() };
    let Some(decided) = decision.apps.get(app) else { return BTreeMap::new() };
    restore(&mut placement, world, decision);
    let ask = placement.apps[asked].ask();
    let completed = &placement.apps[asked].done;
    let sentence = |node: &NodeName| {
        let here = |slots: &mut dyn Iterator<Item = u32>| -> Vec<u32> { slots.collect() };
        let mine = || decided.slots.iter().filter(|(_, holder)| *holder == node).map(|(slot, _)| *slot);
        let runs = here(&mut mine().filter(|slot| !completed.contains_key(slot)));
        let done = here(&mut mine().filter(|slot| completed.contains_key(slot)));
        if !runs.is_empty() || !done.is_empty() {
            return said(&runs, &done);
        }
        let place = placement.room.place(node)?;
        Some(match placement.room.misfit(place, &ask) {
            Some(Misfit::Label { name, asked, has: None }) => format!("label {name}={asked} is missing"),
            Some(Misfit::Label { name, asked, has: Some(has) }) => {
                format!("label {name} is {has}, the plan asks for {asked}")
            }
            _ if decided.unplaced == 0 => not_needed(decided),
            Some(Misfit::Cpu { free }) => {
                format!("no room: needs {} cpu_milli, {free} free", ask.each.cpu_milli)
            }
            Some(Misfit::Memory { free }) => {
                format!("no room: needs {} memory_mb, {free} free", ask.each.memory_mb)
            }
            Some(Misfit::Port) => format!("port {} is taken on its host", ask.port),
            None => "it fits: the decision is older than the node".to_owned(),
        })
    };
    placement.room.names().filter_map(|node| Some((node.clone(), sentence(node)?))).collect()
}

/// Promises what the decision promised.
fn restore<'a>(placement: &mut Placement<'a>, world: &World<'a>, decision: &Decision) {
    placement.note_done(world);
    for index in 0..placement.apps.len() {
        let Some(decided) = decision.apps.get(placement.apps[index].name) else { continue };
        for (slot, node) in &decided.slots {
            if let Some(place) = placement.room.place(node)
                && !placement.apps[index].is_filled(*slot)
            {
                placement.put(index, *slot, place);
            }
        }
    }
}

fn said(runs: &[u32], done: &[u32]) -> Option<String> {
    let slots = |slots: &[u32]| {
        let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
        format!("slot{} {}", if slots.len() == 1 { "" } else { "s" }, numbers.join(", "))
    };
    match (runs, done) {
        ([], []) => None,
        (runs, []) => Some(format!("runs {}", slots(runs))),
        ([], done) => Some(format!("has completed {}", slots(done))),
        (runs, done) => Some(format!("runs {}, has completed {}", slots(runs), slots(done))),
    }
}

fn not_needed(decided: &AppDecision) -> String {
    if decided.wanted == 0 {
        return match &decided.limited {
            Some(limited) => format!("not needed: {limited}"),
            None => "not needed: the plan asks for no replica".to_owned(),
        };
    }
    let mut nodes: Vec<&str> = decided.slots.values().map(NodeName::as_str).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let more = nodes.len().saturating_sub(MAX_NAMES);
    nodes.truncate(MAX_NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more nodes") };
    let count = decided.slots.len();
    let are = if count == 1 { "replica is" } else { "replicas are" };
    format!("not needed: {count} of {} {are} on {}{more}", decided.wanted, nodes.join(", "))
}

#[cfg(test)]
mod tests;
