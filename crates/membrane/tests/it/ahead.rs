//! The group of the next workload, which is there before it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use membrane::{Exit, Limits, Process, Spawn};

use crate::groups::cannot;
use crate::reach::{Outside, done, enclosed, read};
use crate::skin;
use crate::support::{Client, Nest, kill_dash_nine};

/// A workload that runs on, with so many processes at most.
fn sleeper(nest: &Nest, id: &str, pids: u32) -> Spawn {
    let limits = Limits { pids, ..Limits::default() };
    Spawn { limits: Some(limits), ..nest.shell(id, "exec sleep 1000") }
}

fn name_of(process: &Process) -> Option<OsString> {
    Some(process.group.as_ref()?.path.file_name()?.to_owned())
}

fn groups_in(folder: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.file_name()).collect()
}

/// The name of the group that nobody is in, once it is there; `used` are those of workloads.
fn ready(folder: &Path, used: &[&Process]) -> OsString {
    let since = Instant::now();
    loop {
        let mut all = groups_in(folder);
        used.iter().filter_map(|process| name_of(process)).for_each(|name| {
            all.remove(&name);
        });
        // No event tells of a new group.
        match all.pop_first() {
            Some(name) if all.is_empty() => return name,
            _ => assert!(since.elapsed() < Duration::from_secs(60), "none is made, or too many: {all:?}"),
        }
        std::thread::yield_now();
    }
}

/// The most processes that a group may have, where somebody counts them.
fn pids_max(nest: &Nest, name: &OsString) -> Option<String> {
    let files = nest.groups().into_iter().map(|folder| folder.join(name).join("pids.max"));
    files.filter_map(|file| std::fs::read_to_string(file).ok()).next().map(|text| text.trim().to_owned())
}

/// A keeper with one workload, if there are groups of v2 here.
async fn begin(nest: &Nest) -> Option<(Client, Process)> {
    let (client, _) = nest.attach().await;
    let first = client.keeper.spawn(sleeper(nest, "first", 100)).await.unwrap();
    if first.group.is_none() {
        client.end().await;
        return None;
    }
    Some((client, first))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_workload_is_born_in_it_and_has_its_own_limits() {
    let nest = Nest::new();
    let Some((mut client, first)) = begin(&nest).await else { return };
    let folder = client.keeper.groups().unwrap().to_owned();
    let next = ready(&folder, &[&first]);
    let second = client.keeper.spawn(sleeper(&nest, "second", 77)).await.unwrap();
    assert_eq!(name_of(&second), Some(next.clone()));
    if pids_max(&nest, &next).is_some() {
        assert_eq!(pids_max(&nest, &next).unwrap(), "77");
        assert_eq!(pids_max(&nest, &name_of(&first).unwrap()).unwrap(), "100");
        assert_eq!(client.keeper.usage("second").await.unwrap().pids, Some(1));
    }
    client.keeper.kill("second").await.unwrap();
    client.exit_of("second").await;
    // One that is ready isn't counted as anybody's.
    ready(&folder, &[&first]);
    assert_eq!(client.keeper.usages("").await.unwrap().len(), 1);
    client.end().await;
    for folder in nest.groups() {
        assert!(!folder.exists(), "{} is left", folder.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_somebody_took_away_is_not_missed() {
    let nest = Nest::new();
    let Some((client, first)) = begin(&nest).await else { return };
    let folder = client.keeper.groups().unwrap().to_owned();
    let next = ready(&folder, &[&first]);
    std::fs::remove_dir(nest.groups().last().unwrap().join(&next)).unwrap();
    let second = client.keeper.spawn(sleeper(&nest, "second", 77)).await.unwrap();
    assert_ne!(name_of(&second), Some(next));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_was_killed_leaves_it_to_the_next_one() {
    let nest = Nest::new();
    let Some((client, first)) = begin(&nest).await else { return };
    let folder = client.keeper.groups().unwrap().to_owned();
    ready(&folder, &[&first]);
    kill_dash_nine(client.keeper.pid());
    let (client, processes) = nest.attach().await;
    assert!(processes.is_empty());
    assert_eq!(groups_in(client.keeper.groups().unwrap()), BTreeSet::new());
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_keeper_makes_another() {
    let nest = Nest::new();
    let Some((client, first)) = begin(&nest).await else { return };
    let folder = client.keeper.groups().unwrap().to_owned();
    ready(&folder, &[&first]);
    client.keeper.upgrade(Path::new(crate::support::HARNESS)).await.unwrap();
    assert_eq!(groups_in(&folder), name_of(&first).into_iter().collect());
    let second = client.keeper.spawn(sleeper(&nest, "second", 77)).await.unwrap();
    ready(&folder, &[&first, &second]);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_a_workload_to_its_reach() {
    if cannot() || skin::cannot() {
        return;
    }
    let (nest, outside) = (Nest::new(), Outside::new());
    let Some((mut client, first)) = begin(&nest).await else { return };
    // The programs are loaded with the first workload.
    let next = ready(client.keeper.groups().unwrap(), &[&first]);
    let second = client.keeper.spawn(enclosed(&nest, "second", &outside)).await.unwrap();
    assert_eq!(name_of(&second), Some(next));
    assert_eq!(client.exit_of("second").await, Exit::Code(0));
    let made = read(&nest.stdout("second"));
    assert_eq!(done(&made, "not listed"), [""; 0], "{made:#?}");
    assert!(done(&made, "listed").contains(&"listed: connect"), "{made:#?}");
    client.end().await;
}
