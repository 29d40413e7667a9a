//! The running mesh as text: what `status`, `ps`, `up` and the progress of a rollout show.

use genome::{Endpoint, ReplicaState};
use mycelium::api::{AppState, AppStatus, MeshStatus};
use telemetry::{Event, EventKind};
use types::Timestamp;

use crate::out::{Out, Paint};
use crate::span::short;
use crate::table::Table;

/// The apps, one a row.
pub fn apps(out: &Out, status: &MeshStatus) -> Table {
    let mut table = Table::new(&["APP", "VERSION", "STATE", "READY", "REQUESTS", "5XX", "P99", "URL"]);
    for app in &status.apps {
        table.row([
            app.app_name.to_string(),
            app.version.clone(),
            state(out, app.state),
            format!("{}/{}", app.ready, app.wanted),
            app.traffic.requests.to_string(),
            app.traffic.errors_5xx.to_string(),
            if app.traffic.requests == 0 { String::new() } else { format!("{:.1} ms", app.traffic.p99_ms) },
            app.url.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// What the apps have to say, when anything: `billing: waiting for room on 1 node`.
pub fn remarks(out: &Out, status: &MeshStatus) -> Vec<String> {
    let said = status
        .apps
        .iter()
        .filter(|app| !app.message.is_empty() && !matches!(app.state, AppState::Ready | AppState::Asleep));
    let mut lines: Vec<String> =
        said.map(|app| format!("{}: {}", out.paint(Paint::Bold, &app.app_name), app.message)).collect();
    let kept_out = crate::commands::quarantine::remark(status.quarantined);
    lines.extend(kept_out.map(|said| format!("{}: {said}", out.paint(Paint::Yellow, "quarantine"))));
    lines.extend(status.conflicts.iter().map(|c| format!("{}: {c}", out.paint(Paint::Yellow, "conflict"))));
    lines
}

/// The size of each app's replicas, where that isn't what its manifest says.
pub fn sizes(out: &Out, apps: &[AppStatus]) -> Vec<String> {
    let said =
        |app: &AppStatus| Some(format!("{}: {}", out.paint(Paint::Bold, &app.app_name), app.sized.as_ref()?));
    apps.iter().filter_map(said).collect()
}

/// The nodes, one a row.
pub fn nodes(status: &MeshStatus) -> Table {
    // Where all is well nobody needs to read it.
    let all_here = status.nodes.iter().all(|node| matches!(node.state.as_str(), "" | "here"));
    let heading = if all_here { "" } else { "STATE" };
    let mut table = Table::new(&["NODE", "REPLICAS", "CPU", "MEMORY", "VERSION", heading]);
    for node in &status.nodes {
        table.row([
            node.node.node_id.to_string(),
            node.replicas.to_string(),
            format!("{}/{} m", node.promised.cpu_milli, node.node.capacity.cpu_milli),
            format!("{}/{} MiB", node.promised.memory_mb, node.node.capacity.memory_mb),
            node.node.version.clone(),
            if all_here { " ".to_owned() } else { node.state.clone() },
        ]);
    }
    table
}

/// Replicas, one a row.
pub fn replicas(out: &Out, apps: &[AppStatus], now: Timestamp) -> Table {
    let headings =
        ["APP", "REPLICA", "NODE", "VERSION", "STATE", "SINCE", "RESTARTS", "PID", "ADDRESS", "MESSAGE"];
    let mut table = Table::new(&headings);
    for replica in apps.iter().flat_map(|app| &app.replicas) {
        table.row([
            replica.app_name.to_string(),
            replica.replica.to_string(),
            replica.node_id.to_string(),
            replica.version.clone(),
            replica_state(out, replica.state),
            short(now.since(replica.since)),
            replica.restarts.to_string(),
            replica.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            address(replica).to_owned(),
            remark(replica),
        ]);
    }
    table
}

/// An event as one line.
pub fn event(out: &Out, event: &Event) -> String {
    let paint = match event.kind {
        EventKind::HealthOk | EventKind::EndpointRegister => Paint::Green,
        EventKind::HealthFail | EventKind::SporeRefused | EventKind::ReachRefused | EventKind::RolledBack => {
            Paint::Red
        }
        EventKind::ProcessExit | EventKind::DrainStart => Paint::Yellow,
        EventKind::PlanReceived | EventKind::LaunchStart | EventKind::ReplicaStopped => Paint::Dim,
        EventKind::SecretDelivered | EventKind::Renewed | EventKind::Mesh => Paint::Dim,
    };
    let node = event.node.as_ref().map(|n| format!("{n} ")).unwrap_or_default();
    let app = event.app.as_ref().map(|a| format!("{a} ")).unwrap_or_default();
    let who = event.replica.as_ref().map_or(app, |replica| format!("{replica} "));
    let kind = out.paint(paint, format_args!("{:<17}", event.kind.as_str()));
    format!("{} {kind} {node}{who}{}", event.at, event.message).trim_end().to_owned()
}

/// An event in a few words, for where its time is known.
pub fn event_short(out: &Out, event: &Event) -> String {
    let node = event.node.as_ref().map(|n| format!("{n} ")).unwrap_or_default();
    let app = event.app.as_ref().map(|a| format!("{a} ")).unwrap_or_default();
    let who = event.replica.as_ref().map_or(app, |replica| format!("{replica} "));
    let text = format!("  {node}{who}{}: {}", event.kind.as_str(), event.message);
    out.paint_err(Paint::Dim, text.trim_end().trim_end_matches(':'))
}

/// The state of an app, coloured.
pub fn state(out: &Out, state: AppState) -> String {
    let paint = match state {
        AppState::Ready | AppState::Completed => Paint::Green,
        AppState::Progressing => Paint::Yellow,
        AppState::Degraded | AppState::RolledBack => Paint::Red,
        AppState::Stopped | AppState::Asleep => Paint::Dim,
    };
    out.paint(paint, state_word(state))
}

/// The state of an app as it is written in JSON.
pub const fn state_word(state: AppState) -> &'static str {
    match state {
        AppState::Ready => "ready",
        AppState::Completed => "completed",
        AppState::Progressing => "progressing",
        AppState::Degraded => "degraded",
        AppState::RolledBack => "rolled-back",
        AppState::Stopped => "stopped",
        AppState::Asleep => "asleep",
    }
}

fn replica_state(out: &Out, state: ReplicaState) -> String {
    let paint = match state {
        ReplicaState::Ready | ReplicaState::Completed => Paint::Green,
        ReplicaState::Backoff | ReplicaState::Refused => Paint::Red,
        ReplicaState::Pulling
        | ReplicaState::Verifying
        | ReplicaState::Launching
        | ReplicaState::Draining => Paint::Yellow,
    };
    out.paint(paint, state)
}

fn address(replica: &Endpoint) -> &str {
    replica.url.split_once("://").map_or("", |(_, address)| address)
}

fn remark(replica: &Endpoint) -> String {
    match (&replica.exit, replica.message.is_empty()) {
        (Some(exit), true) => exit.to_string(),
        _ => replica.message.clone(),
    }
}
