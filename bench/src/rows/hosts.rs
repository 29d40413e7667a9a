//! Five nodes: how soon what a dead one ran answers elsewhere, and what a load sees of upgrades and deaths.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::changes::{failed, under_load};
use super::first::until_answered;
use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::load::Target;
use crate::nodes::{Nodes, millis_now};
use crate::process::pause;

const NODES: usize = 5;
const APP: &str = "billing";
/// Two on each of the four nodes that the load doesn't come in at.
const REPLICAS: u32 = 8;
const KILLS: u32 = 20;
/// The longest that replicas may take to be where they belong.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at where replicas are.
const STEP: Duration = Duration::from_millis(20);

/// From a node's death until its replica answers elsewhere.
pub fn elsewhere(bench: &Bench) -> Result<Vec<Figure>> {
    let mut nodes = Nodes::start(bench, NODES, &[], None)?;
    let (mut answers, mut decided) = (Series::new("mesh"), Series::new("mesh"));
    for run in 0..if bench.quick { 2 } else { 3 * bench.runs } {
        bench.progress(&format!("the node of the only replica dies, number {}", run + 1));
        // an app of its own each time, and the ones before it gone
        let app = format!("{APP}-{run}");
        let spore = publish(bench, &nodes, &app)?;
        nodes.all[0].submit(&nodes.all[0].plan(&app, &spore, 1, |_| ())?)?;
        nodes.all[0].settled(&app, 1)?;
        let (name, _) = nodes.all[0].places(&app)?.first().cloned().context("no replica")?;
        let victim = nodes.named(&name)?;
        let asked = usize::from(victim == 0);
        until_answered(nodes.all[asked].edge()?, &format!("/{app}/hello"), Instant::now())?;
        let (at, since) = (millis_now(), Instant::now());
        nodes.all[victim].kill()?;
        let answered = answered_elsewhere(nodes.all[asked].edge()?, &app, since)?;
        answers.runs.push(answered);
        // Who asks may hear of the heir before it gives the dead one up itself.
        let heir = nodes.all[asked].places(&app)?.into_iter().find(|(node, _)| *node != name);
        let (heir, _) = heir.context("no replica elsewhere")?;
        let said = nodes.all[nodes.named(&heir)?].said(at)?;
        let death = said.iter().find(|said| said.message.starts_with(&format!("node {name} is dead")));
        let death = death.with_context(|| format!("{heir} has not said that {name} is dead"))?;
        decided.runs.push(answered - (death.at - at) / 1e3);
        nodes.all[asked].stop(&app, &spore)?;
        nodes.all[victim].start()?;
        nodes.whole(&(0..NODES).collect::<Vec<_>>())?;
    }
    Ok(vec![
        Figure::new(
            "kill -9 of a node of 5 -> its replica answers elsewhere, s",
            answers,
            Vec::new(),
            Bar::P99AtMost(10.0),
        )
        .note("agent, keeper and workloads of the node at once; asked through the edge of another"),
        Figure::new("the same, from the new node's decision on, s", decided, Vec::new(), Bar::P99AtMost(0.3))
            .note("from its word that the other is dead, in whole milliseconds"),
    ])
}

/// What 64 connections see of upgrades of all nodes, and of deaths.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut nodes = Nodes::start(bench, NODES, &[], None)?;
    let spore = publish(bench, &nodes, APP)?;
    // Not on the node that the load comes in at, which would use its own.
    let away = ("node!".to_owned(), nodes.all[0].name.clone());
    let record = nodes.all[0].plan(APP, &spore, REPLICAS, |plan| {
        plan.constraints.extend([away]);
    })?;
    nodes.all[0].submit(&record)?;
    nodes.all[0].settled(APP, u64::from(REPLICAS))?;
    nodes.whole(&(0..NODES).collect::<Vec<_>>())?;
    let target = Target::new(nodes.all[0].edge()?, "/billing/hello", "from billing");
    let least = if bench.quick { 10_000 } else { 200_000 };
    let upgrades = under_load(&target, least, || {
        for index in 0..NODES {
            bench.progress(&format!("5 nodes under load: upgrade of node {}", index + 1));
            nodes.all[index].upgrade()?;
        }
        Ok(())
    })?;
    let kills = if bench.quick { 2 } else { KILLS };
    let deaths = under_load(&target, least, || {
        for number in 0..kills {
            bench.progress(&format!("5 nodes under load: kill -9 number {} of {kills}", number + 1));
            die_and_return(&mut nodes, 1 + number as usize % (NODES - 1))?;
        }
        Ok(())
    })?;
    Ok(vec![
        failed("a rolling upgrade of 5 nodes", &upgrades),
        failed(&format!("{kills} times kill -9 of one of 5 nodes"), &deaths),
    ])
}

/// Every node has the spore: what is measured is not how it gets there.
fn publish(bench: &Bench, nodes: &Nodes, app: &str) -> Result<crate::hand::Published> {
    let spore = nodes.all[0].pack(app, &bench.billing)?;
    let bytes = std::fs::read(spore)?;
    let mut stored = None;
    for node in &nodes.all {
        stored = Some(node.store(&bytes)?);
    }
    stored.context("no node")
}

/// Kills a node that serves; it is back when its replicas were elsewhere.
fn die_and_return(nodes: &mut Nodes, victim: usize) -> Result<()> {
    let name = nodes.all[victim].name.clone();
    nodes.all[victim].kill()?;
    let since = Instant::now();
    loop {
        let places = nodes.all[0].places(APP)?;
        if places.len() == REPLICAS as usize && places.iter().all(|(node, _)| *node != name) {
            break;
        }
        if since.elapsed() > PATIENCE {
            bail!("the replicas of {name} are not elsewhere after {PATIENCE:?}");
        }
        pause(STEP);
    }
    nodes.all[victim].start()?;
    nodes.whole(&(0..NODES).collect::<Vec<_>>())
}

/// When the edge has an answer again that the dead node can't have given.
fn answered_elsewhere(edge: SocketAddr, app: &str, since: Instant) -> Result<f64> {
    until_answered(edge, &format!("/{app}/hello"), since)?;
    Ok(since.elapsed().as_secs_f64())
}
