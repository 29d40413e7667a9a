//! What a person sees of apps and nodes: derived from records, the decision and the edge's counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use cortex::{AppDecision, Decision};
use fabric::View;
use genome::{Endpoint, Plan, ReplicaState};
use types::{AppName, NodeName, Nutrients, Workload};

use crate::api::{AppState, AppStatus, NodeStatus, Traffic};
use crate::burn::WINDOWS;
use crate::demand::Seen;
use crate::presence::Presence;
use agent::Decided;

/// The status of every app that has a plan.
pub(crate) fn apps(
    view: &View,
    decision: &Decision,
    edge_url: &str,
    traffic: &BTreeMap<AppName, Traffic>,
    presence: &Presence,
) -> Vec<AppStatus> {
    let known = view.plans.keys();
    known
        .filter_map(|app| self::app(view, decision, app, edge_url, traffic.get(app).cloned(), presence))
        .collect()
}

/// The status of one app; `None` without a plan.
pub(crate) fn app(
    view: &View,
    decision: &Decision,
    name: &AppName,
    edge_url: &str,
    traffic: Option<Traffic>,
    presence: &Presence,
) -> Option<AppStatus> {
    let entry = view.plans.get(name)?;
    let decided = decision.apps.get(name)?;
    // What a dead node said last is nobody's replica any more.
    let alive = view.endpoints_of(name).filter(|replica| presence.takes_work(&replica.node_id));
    let replicas: Vec<Arc<Endpoint>> = alive.cloned().collect();
    let (state, message) = judge(&entry.value, decided, &replicas);
    let http =
        entry.value.sleeps() || replicas.iter().any(|r| r.provides.iter().any(|p| p == "http" || p == "h2c"));
    let release = &decided.release;
    Some(AppStatus {
        app_name: name.clone(),
        generation: entry.generation,
        version: release.version.clone(),
        digest: release.digest,
        revision: decided.revision.clone(),
        state,
        message,
        rollout: decided.rollout.as_ref().map(ToString::to_string),
        min: entry.value.min,
        max: entry.value.max,
        wanted: decided.wanted,
        ready: ready(decided, &replicas),
        size: decided.sizing.each,
        sized: (entry.value.size.is_some()).then(|| decided.sizing.to_string()),
        budget: view.budgets.get(name).map(|b| (*b.value).clone()),
        url: http.then(|| format!("{edge_url}/{name}/")),
        traffic: traffic.unwrap_or_default(),
        replicas: replicas.iter().map(|r| (**r).clone()).collect(),
    })
}

/// Every node with what is promised there.
pub(crate) fn nodes(view: &View, decision: &Decision, presence: &Presence) -> Vec<NodeStatus> {
    let mut promised: BTreeMap<&NodeName, Nutrients> = BTreeMap::new();
    for app in decision.apps.values() {
        for (slot, node) in &app.slots {
            let sum = promised.entry(node).or_default();
            let each = app.each_of(*slot);
            sum.cpu_milli += each.cpu_milli;
            sum.memory_mb += each.memory_mb;
        }
    }
    let describe = |(name, node): (&NodeName, &Arc<genome::Node>)| NodeStatus {
        node: (**node).clone(),
        state: match presence.state(name) {
            "here" if view.drains.contains_key(name) => "drained",
            state => state,
        }
        .to_owned(),
        promised: promised.get(name).copied().unwrap_or_default(),
        replicas: view.endpoints().filter(|e| e.node_id == *name && e.pid.is_some()).count() as u32,
    };
    view.nodes.iter().map(describe).collect()
}

/// An app in one sentence.
pub(crate) fn summary(app: &AppStatus) -> String {
    let counts = format!("{} of {} replicas are ready", app.ready, app.wanted);
    let text = match app.state {
        AppState::Ready => format!("all is well: {counts}"),
        AppState::Completed => "the job is done".to_owned(),
        AppState::Stopped => "stopped: the plan asks for no replica".to_owned(),
        AppState::Asleep => "it sleeps: nobody asks for it; the next request wakes it".to_owned(),
        AppState::RolledBack => format!("its latest release failed and the one before runs ({counts})"),
        AppState::Progressing | AppState::Degraded => counts,
    };
    if app.message.is_empty() || text.contains(&app.message) {
        text
    } else {
        format!("{text}; {}", app.message)
    }
}

/// Why there are as many replicas as there are, where demand has a say in it.
pub(crate) fn why(decided: &Decided, app: &AppName, seen: &Seen) -> Vec<String> {
    let (Some(entry), Some(decision)) = (decided.view.plans.get(app), decided.decision.apps.get(app)) else {
        return Vec::new();
    };
    let plan = &entry.value;
    let sized = plan.size.map(|_| decision.sizing.to_string());
    let Some(scale) = plan.scale.as_ref().filter(|_| plan.max > 0) else {
        return sized.into_iter().collect();
    };
    let count =
        if decision.wanted == 1 { "1 replica".to_owned() } else { format!("{} replicas", decision.wanted) };
    let bounds = if plan.min == plan.max {
        format!("{} always", plan.min)
    } else {
        format!("{} to {}", plan.min, plan.max)
    };
    let mut lines = vec![match &decision.limited {
        Some(limited) => format!("{count} ({bounds}; {limited}): {}", decision.scaling),
        None => format!("{count} ({bounds}): {}", decision.scaling),
    }];
    lines.extend(sized);
    lines.extend(seen.readings.trouble(app).map(|why| format!("its metric can't be read here: {why}")));
    if let (Some(budget), Some(rates)) = (scale.p99_budget_ms, seen.burns.all().get(app)) {
        let rates = WINDOWS.iter().zip(rates).map(|((window, _), rate)| format!("{rate:.1} over {window}"));
        let rates: Vec<String> = rates.collect();
        lines.push(format!(
            "error budget (1 % over {budget} ms or failed), times as fast as it may go, here: {}",
            rates.join(", ")
        ));
    }
    lines
}

/// Replicas that do what they should: of the decided release, or of the one before while they wait for it.
fn ready(decided: &AppDecision, replicas: &[Arc<Endpoint>]) -> u32 {
    let good = |r: &&Arc<Endpoint>| {
        decided.is_current(r) && matches!(r.state, ReplicaState::Ready | ReplicaState::Completed)
    };
    replicas.iter().filter(good).count() as u32
}

fn judge(plan: &Plan, decided: &AppDecision, replicas: &[Arc<Endpoint>]) -> (AppState, String) {
    let in_state = |state| replicas.iter().filter(move |r: &&Arc<Endpoint>| r.state == state);
    let ready = ready(decided, replicas);
    let settled = ready == decided.wanted && replicas.len() as u32 == ready;
    if decided.wanted == 0 && plan.max == 0 {
        return match replicas.len() {
            0 => (AppState::Stopped, "the plan asks for no replica".into()),
            left => (AppState::Progressing, format!("{left} of its replicas are stopping")),
        };
    }
    if decided.scaling.asleep && replicas.is_empty() {
        return (AppState::Asleep, "nobody asks for it; the next request wakes it".into());
    }
    if let Some(why) = &decided.fallback {
        return (AppState::RolledBack, why.clone());
    }
    let rollout = decided.rollout.as_ref().map(ToString::to_string);
    if settled && rollout.is_none() {
        let done = plan.release.workload == Workload::Job
            && in_state(ReplicaState::Completed).count() as u32 == decided.wanted;
        let limited = decided.limited.clone().unwrap_or_default();
        return (if done { AppState::Completed } else { AppState::Ready }, limited);
    }
    if decided.unplaced > 0 {
        let text = format!("no node has room for {} of {} replicas", decided.unplaced, decided.wanted);
        return (AppState::Degraded, text);
    }
    for state in [ReplicaState::Refused, ReplicaState::Backoff] {
        if let Some(replica) = in_state(state).next() {
            return (
                AppState::Degraded,
                format!("{} on {}: {}", replica.replica, replica.node_id, replica.message),
            );
        }
    }
    let count = rollout.unwrap_or_else(|| format!("{ready} of {} replicas are ready", decided.wanted));
    let text = match in_state(ReplicaState::Pulling).next() {
        Some(replica) => format!("{count}; {} on {}: {}", replica.replica, replica.node_id, replica.message),
        None => count,
    };
    (AppState::Progressing, text)
}
