//! An app's logs: the folders of its replicas, present and past, read as one stream.

mod others;

use std::path::{Path, PathBuf};

use membrane::{Follow, LogLine as Line, LogStream};
use types::{AppName, NodeName, ReplicaName};

use crate::api::{LogLine, LogQuery};
use crate::server::{ApiState, LineSender};

pub(crate) use others::{forward_all, peers, send_all};

/// One replica's log folder.
pub(crate) struct ReplicaLog {
    node: NodeName,
    replica: ReplicaName,
    dir: PathBuf,
}

/// The log folders of `app`'s replicas (or of the one asked for) under `logs/<node>/<replica>`.
pub(crate) fn replicas(logs: &Path, app: &AppName, only: Option<&ReplicaName>) -> Vec<ReplicaLog> {
    let mut found = Vec::new();
    for (node, dir) in folders::<NodeName>(logs) {
        for (replica, dir) in folders::<ReplicaName>(&dir) {
            if replica.is_of(app) && only.is_none_or(|only| *only == replica) {
                found.push(ReplicaLog { node: node.clone(), replica, dir });
            }
        }
    }
    found
}

/// Sends what `query` asks for: first what there is, by time, then what is written.
pub(crate) async fn send(
    state: &ApiState,
    app: &AppName,
    query: &LogQuery,
    to: &LineSender,
) -> Result<(), ()> {
    let logs = state.paths.logs();
    if !query.follow {
        let found = replicas(&logs, app, query.replica.as_ref());
        let tail = query.tail.unwrap_or(usize::MAX);
        let lines = tokio::task::spawn_blocking(move || read(&found, tail)).await.map_err(drop)?;
        return to.send(&lines).await;
    }
    let mut follow = Follow::new().map_err(drop)?;
    let mut changes = state.fabric.subscribe();
    let mut followed: Vec<ReplicaLog> = Vec::new();
    let mut tail = query.tail.unwrap_or(usize::MAX);
    let mut look = true;
    loop {
        if std::mem::take(&mut look) {
            let mut lines = Vec::new();
            for log in replicas(&logs, app, query.replica.as_ref()) {
                if followed.iter().all(|known| known.dir != log.dir) {
                    let last = follow.add(&log.dir.to_string_lossy(), &log.dir, tail).unwrap_or_default();
                    lines.extend(last.into_iter().map(|line| of(&log, line)));
                    followed.push(log);
                }
            }
            lines.sort_by_key(|line| line.at);
            to.send(&lines).await?;
            // What a new replica wrote before it was noticed is wanted whole.
            tail = usize::MAX;
        }
        tokio::select! {
            next = follow.next() => {
                let next = next.map_err(drop)?;
                let lines: Vec<_> = next.into_iter().filter_map(|(dir, line)| {
                    let log = followed.iter().find(|log| log.dir.as_os_str() == dir.as_str())?;
                    Some(of(log, line))
                }).collect();
                to.send(&lines).await?;
            }
            _ = changes.changed() => look = true,
            () = to.closed() => return Err(()),
        }
    }
}

fn read(found: &[ReplicaLog], tail: usize) -> Vec<LogLine> {
    let mut lines = Vec::new();
    for log in found {
        lines
            .extend(membrane::tail(&log.dir, tail).unwrap_or_default().into_iter().map(|line| of(log, line)));
    }
    lines.sort_by_key(|line| line.at);
    lines
}

fn of(log: &ReplicaLog, line: Line) -> LogLine {
    let stream = match line.stream {
        LogStream::Stdout => "out",
        LogStream::Stderr => "err",
        LogStream::Keeper => "keeper",
    };
    LogLine {
        at: line.at,
        stream: stream.to_owned(),
        node: log.node.clone(),
        replica: log.replica.clone(),
        line: line.text,
        more: line.more,
    }
}

/// The folders in `dir` whose names are names.
fn folders<N: std::str::FromStr>(dir: &Path) -> Vec<(N, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let named =
        entries.flatten().filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    named.collect()
}
