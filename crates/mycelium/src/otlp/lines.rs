//! What the replicas of this process's nodes write, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric::{Fabric, View};
use genome::Endpoint;
use membrane::{Follow, LogLine, LogStream};
use scent::{Attributes, Record, Scent};
use tokio::time::Instant;
use types::NodeName;

use super::folder;
use crate::machine::Machine;

/// How long a replica that has gone is listened to: what it wrote last may still be on its way.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A replica that is listened to.
struct Source {
    of: Arc<Attributes>,
    /// Since when its record is gone.
    gone: Option<Instant>,
}

/// Tells what is written from now on, by replicas that come all of it, until a successor does. Lines for which there is
/// no room are counted, and not looked at.
pub(crate) async fn follow(
    scent: &Scent,
    fabric: &Fabric,
    (logs, nodes): (&Path, &BTreeSet<NodeName>),
    fresh: bool,
) {
    let Ok(mut follow) = Follow::new() else {
        tracing::warn!("what replicas write is not told: there are too many watches on this machine");
        return scent.over().await;
    };
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    let mut changes = fabric.subscribe();
    // What ran before this process did was told by the one before.
    let mut last = if fresh { usize::MAX } else { 0 };
    let over = scent.over();
    tokio::pin!(over);
    loop {
        let lines = look(&mut follow, &mut sources, &fabric.view(), (logs, nodes), last);
        tell(scent, &sources, lines);
        last = usize::MAX;
        let leaving = sources.values().any(|source| source.gone.is_some());
        loop {
            tokio::select! {
                biased;
                () = &mut over => return,
                _ = changes.changed() => break,
                () = tokio::time::sleep(LAST_WORDS), if leaving => break,
                lines = follow.next() => match lines {
                    Ok(lines) => tell(scent, &sources, lines),
                    Err(error) => {
                        tracing::warn!(%error, "what replicas write is not told any more");
                        return over.await;
                    }
                },
            }
        }
    }
}

fn tell(scent: &Scent, sources: &BTreeMap<String, Source>, lines: Vec<(String, LogLine)>) {
    for (name, line) in lines {
        let Some(source) = sources.get(&name) else { continue };
        if !scent.has_room() {
            scent.lost(1);
            continue;
        }
        let mut record = Record::of_line(line.at.as_millis(), line.text, source.of.clone());
        let stream = match line.stream {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::Keeper => "keeper",
        };
        record.attributes.push(("log.iostream".to_owned(), stream.to_owned()));
        scent.record(record);
    }
}

/// Begins to listen to replicas that came, and ends with those that are gone; gives the `last` lines of the former.
fn look(
    follow: &mut Follow,
    sources: &mut BTreeMap<String, Source>,
    view: &View,
    (logs, nodes): (&Path, &BTreeSet<NodeName>),
    last: usize,
) -> Vec<(String, LogLine)> {
    let now = Instant::now();
    let mut there = BTreeSet::new();
    let mut told = Vec::new();
    for endpoint in view.endpoints().filter(|endpoint| nodes.contains(&endpoint.node_id)) {
        let dir = folder(logs, endpoint.node_id.as_str(), endpoint.replica.as_str());
        let name = format!("{}/{}", endpoint.node_id, endpoint.replica);
        if !sources.contains_key(&name) {
            let Ok(lines) = follow.add(&name, &dir, last) else { continue };
            told.extend(lines.into_iter().map(|line| (name.clone(), line)));
            sources.insert(name.clone(), Source { of: Arc::new(attributes(endpoint)), gone: None });
        }
        there.insert(name);
    }
    for (name, source) in sources.iter_mut() {
        source.gone = (!there.contains(name)).then(|| source.gone.unwrap_or(now));
    }
    let over: Vec<String> = sources
        .iter()
        .filter(|(_, source)| source.gone.is_some_and(|gone| now >= gone + LAST_WORDS))
        .map(|(name, _)| name.clone())
        .collect();
    for name in over {
        follow.remove(&name);
        sources.remove(&name);
    }
    told
}

fn attributes(endpoint: &Endpoint) -> Attributes {
    let Endpoint { app_name, node_id, replica, version, .. } = endpoint;
    let all = [
        ("service.name", app_name.to_string()),
        ("service.version", version.clone()),
        ("service.instance.id", replica.to_string()),
        ("host.name", Machine::read().host),
        ("mesh.app", app_name.to_string()),
        ("mesh.node", node_id.to_string()),
        ("mesh.replica", replica.to_string()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
