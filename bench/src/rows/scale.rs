//! Ten times the load, until it is served in time again; and the first request of an app that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use genome::{Plan, Scale};

use super::first::until_answered;
use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::load::{self, Load, Pace, Tally, Target};
use crate::process::pause;
use crate::product::Mesh;

/// The budget of a request, and how long the workload takes for one, in milliseconds.
const BUDGET: u64 = 100;
const TAKES: u64 = 20;
/// Requests a second before the step, and how often as many after it.
const BEFORE: f64 = 20.0;
const TIMES: f64 = 10.0;
/// A workload that takes one request at a time, and its time for it.
const CLERK: &str = r#"#!/usr/bin/env python3
import os, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Clerk(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/work":
            time.sleep(float(os.environ["TAKES"]) / 1000)
        text = b"from clerk"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

class Server(HTTPServer):
    request_queue_size = 4096

Server(("127.0.0.1", int(os.environ["PORT"])), Clerk).serve_forever()
"#;

/// Both figures.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = step(bench)?;
    figures.push(wake(bench)?);
    Ok(figures)
}

fn scaled(plan: &mut Plan, (min, max): (u32, u32), idle_ms: u64) {
    (plan.min, plan.max) = (min, max);
    plan.scale = Some(Scale { p99_budget_ms: Some(BUDGET), idle_ms, ..Scale::default() });
}

/// How long after the step the last stretch ends in which more than 1 % of the answers were late, and how often the
/// number of replicas turned from then on.
fn step(bench: &Bench) -> Result<Vec<Figure>> {
    let (mut back, mut swings) = (Series::new("mesh"), Series::new("mesh"));
    let mut counts = Vec::new();
    for run in 0..bench.runs {
        bench.progress("ten times the load -> served in time again");
        let mesh = bench.mesh(None)?;
        let app = format!("clerk-{run}");
        let program = bench.dir.path().join(&app);
        std::fs::write(&program, CLERK)?;
        let spore = mesh.publish(&app, &program)?;
        mesh.submit(&mesh.plan(&app, &spore, 1, |plan| {
            scaled(plan, (1, 20), 60_000);
            plan.release.env.insert("TAKES".to_owned(), TAKES.to_string());
        })?)?;
        mesh.settled(&app, 1)?;
        let target = Target::new(mesh.edge, &format!("/{app}/work"), "from clerk");
        open(&target, BEFORE, Duration::from_secs(5))?;
        let (tally, wanted) = stepped(&mesh, &app, &target, if bench.quick { 20 } else { 60 })?;
        back.runs.push(in_time_from(&tally));
        // The first five seconds are for finding the number.
        let later: Vec<u64> =
            wanted.iter().filter(|(at, _)| *at > Duration::from_secs(5)).map(|(_, count)| *count).collect();
        let steps: Vec<bool> = later.windows(2).filter(|w| w[0] != w[1]).map(|w| w[1] > w[0]).collect();
        swings.runs.push(steps.windows(2).filter(|w| w[0] != w[1]).count() as f64);
        counts.push(later.last().copied().unwrap_or(0).to_string());
    }
    let name = "ten times the load -> 99 of 100 within 100 ms again, s";
    let back = Figure::new(name, back, Vec::new(), Bar::AtMost(5.0));
    let name = "the number of replicas turns round after that, times";
    let swings = Figure::new(name, swings, Vec::new(), Bar::AtMost(0.0));
    let note = format!(
        "{BEFORE} to {} requests/s, {TAKES} ms each, one at a time; replicas in the end: {}",
        BEFORE * TIMES,
        counts.join(", ")
    );
    Ok(vec![back.note(note), swings])
}

/// The load at a rate.
fn open(target: &Target, rate: f64, duration: Duration) -> Result<Tally> {
    let judge = Some(Duration::from_millis(BUDGET));
    let load = Load {
        connections: 512,
        pace: Pace::Open(rate),
        warmup: Duration::ZERO,
        duration,
        core: None,
        judge,
        remote: false,
    };
    Ok(load::run(target, &load, |_| false)?)
}

/// The second after the step from which on no second has more than 1 % that are late.
fn in_time_from(tally: &Tally) -> f64 {
    let last = tally.judged.keys().copied().max().unwrap_or(0);
    let bad = |tenth: &u64| {
        let second = tally.judged.range(*tenth..*tenth + 10);
        let (all, late) = second.fold((0, 0), |(all, late), (_, (a, l))| (all + a, late + l));
        late * 100 > all
    };
    (0..=last).rev().find(bad).map_or(0.0, |tenth| (tenth + 10) as f64 / 10.0)
}

type Wanted = Vec<(Duration, u64)>;

/// The load after the step, and how many replicas were wanted when.
fn stepped(mesh: &Mesh, app: &str, target: &Target, seconds: u64) -> Result<(Tally, Wanted)> {
    let since = Instant::now();
    let mut wanted: Wanted = Vec::new();
    thread::scope(|scope| {
        let load = scope.spawn(|| open(target, BEFORE * TIMES, Duration::from_secs(seconds)));
        while !load.is_finished() {
            let status = mesh.app(app)?;
            wanted.push((since.elapsed(), status["wanted"].as_u64().context("no number of replicas")?));
            pause(Duration::from_millis(100));
        }
        match load.join() {
            Ok(tally) => Ok((tally?, wanted)),
            Err(_) => bail!("the load panicked"),
        }
    })
}

/// The first request after an app fell asleep.
fn wake(bench: &Bench) -> Result<Figure> {
    let mesh = bench.mesh(None)?;
    let spore = mesh.publish("sleeper", &bench.billing)?;
    mesh.submit(&mesh.plan("sleeper", &spore, 1, |plan| scaled(plan, (0, 3), 500))?)?;
    let mut series = Series::new("mesh");
    for _ in 0..if bench.quick { 5 } else { 5 * bench.runs } {
        bench.progress("the first request after sleep");
        let since = Instant::now();
        while mesh.app("sleeper")?["state"] != "asleep" {
            if since.elapsed() > Duration::from_secs(60) {
                bail!("the app doesn't fall asleep");
            }
            pause(Duration::from_millis(20));
        }
        let asked = Instant::now();
        until_answered(mesh.edge, "/sleeper/hello", asked)?;
        series.runs.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Figure::new("first request after sleep, ms", series, Vec::new(), Bar::AtMost(50.0)))
}
