//! What an app's replicas do, told to whoever follows: of this node, and of all others.

use types::{AppName, ReplicaName};

use crate::api::{Trace, TraceQuery, TraceWhat};
use crate::client::Client;
use crate::logs::forward_all;
use crate::server::{ApiState, LineSender};
use crate::sight::notes;

/// Sends what happens from now on, on every node that answers.
pub(crate) async fn send_all(
    state: &ApiState,
    app: &AppName,
    query: &TraceQuery,
    to: &LineSender,
) -> Result<(), ()> {
    let local = send(state, app, query, to);
    match &state.network {
        Some(network) if !query.here => {
            let open = |client: Client| {
                let (app, query) = (app.clone(), TraceQuery { here: true, ..query.clone() });
                async move { client.trace(&app, &query).await }
            };
            forward_all(state, network, local, open, to).await
        }
        _ => local.await,
    }
}

/// Sends what happens on this node from now on.
pub(crate) async fn send(
    state: &ApiState,
    app: &AppName,
    query: &TraceQuery,
    to: &LineSender,
) -> Result<(), ()> {
    let wanted = |trace: &&Trace| {
        trace.app == *app && query.replica.as_ref().is_none_or(|replica| trace.replica == *replica)
    };
    if let Some(why) = state.sight.lack() {
        to.send(&notes(&state.fabric, &state.presence, app, why)).await?;
    }
    let mut following = state.sight.follow().await;
    loop {
        tokio::select! {
            next = following.next() => {
                let (missed, traces) = next.ok_or(())?;
                let missed = traces.first().filter(|_| missed > 0).and_then(|next| lost(app, next, missed));
                to.send(missed.as_slice()).await?;
                let wanted: Vec<&Trace> = traces.iter().filter(wanted).collect();
                to.send(&wanted).await?;
            }
            () = to.closed() => return Err(()),
        }
    }
}

/// What this follower was too slow for, of all apps.
fn lost(app: &AppName, next: &Trace, count: u64) -> Option<Trace> {
    let replica = ReplicaName::of(app, "unknown").ok()?;
    let what = TraceWhat::Lost { count };
    Some(Trace { app: app.clone(), replica, pid: None, process: None, what, ..next.clone() })
}
