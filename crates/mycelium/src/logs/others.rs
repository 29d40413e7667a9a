//! The logs of other nodes, asked for and put among those of this one.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::timeout;
use types::{AppName, NodeName, PublicKey};

use super::{read, replicas, send};
use crate::api::{LogLine, LogQuery};
use crate::client::{Client, ClientError, Lines};
use crate::clock::SystemClock;
use crate::network::Network;
use crate::server::{ApiState, LineSender};

/// How long a node is waited for when its lines are to be put in order among others.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many lines of one node are put in order at most.
const MAX_LINES: usize = 100_000;

/// Sends what `query` asks for, from every node that answers.
pub(crate) async fn send_all(
    state: &ApiState,
    app: &AppName,
    query: &LogQuery,
    to: &LineSender,
) -> Result<(), ()> {
    match &state.network {
        Some(network) if !query.here && query.follow => follow(state, network, app, query, to).await,
        Some(network) if !query.here => once(state, network, app, query, to).await,
        _ => send(state, app, query, to).await,
    }
}

/// All lines there are, by time.
async fn once(
    state: &ApiState,
    network: &Network,
    app: &AppName,
    query: &LogQuery,
    to: &LineSender,
) -> Result<(), ()> {
    let found = replicas(&state.paths.logs(), app, query.replica.as_ref());
    let tail = query.tail.unwrap_or(usize::MAX);
    let local = tokio::task::spawn_blocking(move || read(&found, tail));
    let mut asked: FuturesUnordered<_> =
        peers(network).into_iter().map(|(name, key)| ask(network, name, key, app, query)).collect();
    let mut lines = Vec::new();
    while let Some(theirs) = asked.next().await {
        lines.extend(theirs);
    }
    lines.extend(local.await.map_err(drop)?);
    lines.sort_by_key(|line| line.at);
    to.send(&lines).await
}

/// The lines of one node; one that says so if it doesn't answer.
async fn ask(
    network: &Network,
    node: NodeName,
    key: PublicKey,
    app: &AppName,
    query: &LogQuery,
) -> Vec<LogLine> {
    let client = Client::of_peer(network.overlay.clone(), key);
    let mut lines = Vec::new();
    let reading = async {
        let mut stream = client.logs(app, &LogQuery { here: true, ..query.clone() }).await?;
        while let Some(line) = stream.next().await? {
            lines.push(line);
            if lines.len() == MAX_LINES {
                break;
            }
        }
        Ok::<_, ClientError>(())
    };
    if !matches!(timeout(PATIENCE, reading).await, Ok(Ok(()))) {
        lines.extend(silent(&node, app));
    }
    lines
}

/// What there is and what comes, as it comes; of nodes that come later, too.
async fn follow(
    state: &ApiState,
    network: &Network,
    app: &AppName,
    query: &LogQuery,
    to: &LineSender,
) -> Result<(), ()> {
    let open = |client: Client| {
        let (app, query) = (app.clone(), LogQuery { here: true, ..query.clone() });
        async move { client.logs(&app, &query).await }
    };
    forward_all(state, network, send(state, app, query, to), open, to).await
}

/// What `local` sends, and what all other nodes do: of each that is here, now or later, what `open` asks it for. Ends as
/// `local` does.
pub(crate) async fn forward_all<T, F>(
    state: &ApiState,
    network: &Network,
    local: impl Future<Output = Result<(), ()>>,
    open: impl Fn(Client) -> F,
    to: &LineSender,
) -> Result<(), ()>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<Lines<T>, ClientError>> + Send + 'static,
{
    let mut forwarding = JoinSet::new();
    let mut followed = BTreeSet::new();
    let mut changes = state.fabric.subscribe();
    tokio::pin!(local);
    loop {
        for (name, key) in peers(network) {
            if followed.insert(name.clone()) {
                let (lines, to) = (open(Client::of_peer(network.overlay.clone(), key)), to.clone());
                forwarding.spawn(async move {
                    // A node that goes may come back.
                    let _ = forward(lines, &to).await;
                    name
                });
            }
        }
        tokio::select! {
            ended = &mut local => return ended,
            Some(gone) = forwarding.join_next() => {
                if let Ok(name) = gone {
                    followed.remove(&name);
                }
                changes.changed().await;
            }
            _ = changes.changed() => {}
        }
    }
}

async fn forward<T: Serialize + DeserializeOwned>(
    lines: impl Future<Output = Result<Lines<T>, ClientError>>,
    to: &LineSender,
) -> Result<(), ()> {
    let mut lines = lines.await.map_err(drop)?;
    while let Some(line) = lines.next().await.map_err(drop)? {
        to.send(&[line]).await?;
    }
    Ok(())
}

pub(crate) fn peers(network: &Network) -> Vec<(NodeName, PublicKey)> {
    let named = |key: PublicKey| Some((network.desk.door.name_of(&key)?, key));
    network.presence.here().into_iter().filter_map(named).collect()
}

fn silent(node: &NodeName, app: &AppName) -> Option<LogLine> {
    Some(LogLine {
        at: SystemClock.now(),
        stream: "keeper".to_owned(),
        node: node.clone(),
        replica: types::ReplicaName::of(app, "unknown").ok()?,
        line: "this node does not answer: what it has is missing here".to_owned(),
        more: false,
    })
}
