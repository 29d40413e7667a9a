//! Verdicts: for every node one sentence why it runs, or doesn't run, a replica of an app (`mesh why`).

use std::collections::BTreeMap;

use types::{AppName, NodeName};

use crate::place::{App, Placement};
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
    let of = &placement.apps[asked];
    let ask = of.ask_for(of.release, of.sizing.each);
    let completed = &placement.apps[asked].done;
    let sentence = |node: &NodeName| {
        let here = |slots: &mut dyn Iterator<Item = u32>| -> Vec<u32> { slots.collect() };
        let mine = || decided.slots.iter().filter(|(_, holder)| *holder == node).map(|(slot, _)| *slot);
        let runs = here(&mut mine().filter(|slot| !completed.contains_key(slot)));
        let done = here(&mut mine().filter(|slot| completed.contains_key(slot)));
        let place = placement.room.place(node)?;
        let moves = |slot: &u32| decided.slots.get(slot) != Some(node);
        let leaves = decided.stays.iter().filter(|(slot, holder)| *holder == node && moves(slot));
        let stays = here(&mut leaves.map(|(slot, _)| *slot));
        if !runs.is_empty() || !done.is_empty() || !stays.is_empty() {
            let drained = placement.room.is_drained(place);
            let waits = waiting(decided, &runs);
            return Some(said(&runs, &done, &leaving(decided, &stays), drained) + &waits);
        }
        if decided.wanted == 0 {
            return Some(not_needed(decided));
        }
        Some(match placement.room.misfit(place, &ask) {
            Some(Misfit::Label { asked, has: None }) => {
                format!("it has no label {}, the plan asks for {asked}", asked.label())
            }
            Some(Misfit::Label { asked, has: Some(has) }) => {
                format!("its label {} is {has}, the plan asks for {asked}", asked.label())
            }
            Some(Misfit::Drained) => "drained: it gets no new work".to_owned(),
            Some(Misfit::Cpu { free }) => {
                format!("no room: needs {} cpu_milli, {free} free", ask.each.cpu_milli)
            }
            Some(Misfit::Memory { free }) => {
                format!("no room: needs {} memory_mb, {free} free", ask.each.memory_mb)
            }
            Some(Misfit::Port) => taken(&placement, place, ask.port),
            None if decided.unplaced == 0 => not_needed(decided),
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
        let port = placement.apps[index].release.port;
        for place in decided.stays.values().filter_map(|node| placement.room.place(node)).collect::<Vec<_>>()
        {
            placement.room.reserve_port(place, port);
        }
    }
}

/// Who has the port that is asked for.
fn taken(placement: &Placement, place: usize, port: u16) -> String {
    let on_host = |app: &App| {
        let mut slots = app.slots.iter();
        slots.any(|(slot, at)| app.release_of(*slot).port == port && placement.room.is_one_host(*at, place))
    };
    match placement.apps.iter().find(|app| on_host(app)) {
        Some(app) => format!("port {port} is taken on its host, by {}", app.name),
        None => format!("port {port} is taken on its host"),
    }
}

/// What a node does for an app: what it runs, has completed, and serves until others do.
fn said(runs: &[u32], done: &[u32], leaving: &[String], drained: bool) -> String {
    let mut parts = Vec::new();
    if !runs.is_empty() {
        parts.push(format!("runs {}", slots(runs)));
    }
    if !done.is_empty() {
        parts.push(format!("has completed {}", slots(done)));
    }
    parts.extend(leaving.iter().cloned());
    let drained = match (drained, runs) {
        (false, _) => "",
        (true, []) => "; drained",
        (true, _) => "; drained, and no other node can take it",
    };
    format!("{}{drained}", parts.join(", "))
}

fn slots(slots: &[u32]) -> String {
    let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
    format!("slot{} {}", if slots.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

/// The slots that run here what they ran before, until it is their turn.
fn waiting(decided: &AppDecision, runs: &[u32]) -> String {
    let waits: Vec<u32> = runs.iter().copied().filter(|slot| decided.waiting.contains(slot)).collect();
    let word = if waits.len() == 1 { "waits" } else { "wait" };
    if waits.is_empty() { String::new() } else { format!("; {} {word} to be updated", slots(&waits)) }
}

/// The slots that are served here until their next holder is ready.
fn leaving(decided: &AppDecision, stays: &[u32]) -> Vec<String> {
    let line = |slot: &u32| {
        let heir = decided.slots.get(slot).map_or("another node", NodeName::as_str);
        format!("serves slot {slot} until {heir} does")
    };
    stays.iter().map(line).collect()
}

fn not_needed(decided: &AppDecision) -> String {
    if decided.wanted == 0 {
        return match &decided.limited {
            Some(limited) => format!("not needed: {limited}"),
            None if decided.scaling.asleep => "not needed: it sleeps until somebody asks for it".to_owned(),
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
