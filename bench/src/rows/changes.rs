//! A million requests while everything changes: updates, killed replicas, and an upgrade of the mesh itself.
//!
//! Every request is a GET, so idempotent. None is sent twice by the load: what the edge doesn't put right is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::hand::Published;
use crate::load::{self, Load, Pace, Tally, Target};
use crate::process::signal;
use crate::product::Mesh;

const APP: &str = "billing";
const REPLICAS: u32 = 3;
/// Replicas while they are killed: one that crashes often is meant to wait longer and longer, so the kills are spread.
const VICTIMS: u32 = 10;
const CONNECTIONS: usize = 64;
const UPDATES: u32 = 20;
const KILLS: u32 = 20;
/// How long green is ready before blue leaves; the default of two seconds would only make this last longer.
const WARMUP_MS: u64 = 300;

/// Three loads one after the other, each at least as long as what happens under it.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let part = if bench.quick { 20_000 } else { 1_000_000 / 3 + 1 };
    let mut mesh = bench.mesh(None)?;
    let spore = mesh.publish(APP, &bench.billing)?;
    change(&mesh, &spore, REPLICAS, 0)?;
    let target = Target::new(mesh.edge, "/billing/hello", "from billing");

    let updates = under_load(&target, part, || {
        for number in 1..=UPDATES {
            bench.progress(&format!("a million requests: update {number} of {UPDATES}"));
            change(&mesh, &spore, REPLICAS, number)?;
        }
        Ok(())
    })?;
    change(&mesh, &spore, VICTIMS, 0)?;
    let kills = under_load(&target, part, || {
        for number in 1..=KILLS {
            bench.progress(&format!("a million requests: kill -9 number {number} of {KILLS}"));
            kill_one(&mesh)?;
        }
        Ok(())
    })?;
    let upgrade = under_load(&target, part, || {
        bench.progress("a million requests: upgrade of the mesh");
        mesh.upgrade()
    })?;
    Ok(vec![
        failed(&format!("{UPDATES} updates of {REPLICAS} replicas"), &updates),
        failed(&format!("{KILLS} times kill -9 of one of {VICTIMS} replicas"), &kills),
        failed("an upgrade of the mesh itself", &upgrade),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "failures")]
pub(super) fn failed(what: &str, tally: &Tally) -> Figure {
    let failed = Series::single("mesh", tally.failed() as f64);
    let all = tally.answered + tally.failed();
    let words = if tally.failed() == 0 { String::new() } else { format!("; {}", tally.failures_text()) };
    Figure::new(format!("failed through {what}"), failed, Vec::new(), Bar::AtMost(0.0)).note(format!(
        "of {all} requests at {CONNECTIONS} connections; p99 {:.1} ms, longest {:.0} ms{words}",
        tally.latency.micros(0.99) / 1e3,
        tally.latency.max_micros() / 1e3,
    ))
}

/// Runs `happen` under load; the load goes on until that is over and `least` requests were answered.
pub(super) fn under_load(target: &Target, least: u64, happen: impl FnOnce() -> Result<()>) -> Result<Tally> {
    let (over, hopeless) = (AtomicBool::new(false), AtomicBool::new(false));
    let load = Load {
        connections: CONNECTIONS,
        pace: Pace::Closed,
        warmup: Duration::ZERO,
        duration: Duration::ZERO,
        core: None,
        judge: None,
        remote: false,
    };
    let more =
        |answered| !over.load(Ordering::Relaxed) || answered < least && !hopeless.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let run = scope.spawn(|| load::run(target, &load, more));
        let happened = happen();
        hopeless.store(happened.is_err(), Ordering::Relaxed);
        over.store(true, Ordering::Relaxed);
        let tally = match run.join() {
            Ok(tally) => tally?,
            Err(_) => bail!("the load panicked"),
        };
        happened.map(|()| tally)
    })
}

/// An update to another environment, until every replica of the last one is gone.
fn change(mesh: &Mesh, spore: &Published, replicas: u32, number: u32) -> Result<()> {
    let record = mesh.plan(APP, spore, replicas, |plan| {
        plan.warmup_ms = WARMUP_MS;
        plan.release.env.insert("GREETING".to_owned(), format!("hi number {number}"));
    })?;
    mesh.submit(&record)?;
    mesh.settled(APP, u64::from(replicas)).map(drop)
}

/// Kills a ready replica, and waits until another has taken its place.
fn kill_one(mesh: &Mesh) -> Result<()> {
    let before = mesh.replicas(APP)?;
    let victim = *before.first().context("no replica is ready")?;
    signal(victim, Signal::KILL);
    let since = Instant::now();
    loop {
        mesh.settled(APP, u64::from(VICTIMS))?;
        if !mesh.replicas(APP)?.contains(&victim) {
            return Ok(());
        }
        if since.elapsed() > Duration::from_secs(60) {
            bail!("replica {victim} was killed and is still called ready");
        }
    }
}
