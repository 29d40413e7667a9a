//! The edge against nginx and HAProxy: one core for the proxy, the load and the backend on another.

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series, number};
use crate::load::{Pace, Tally, Target};
use crate::machine;
use crate::peers::Server;
use crate::product::Mesh;

/// Connections of the loads that look for the limit.
const BUSY: usize = 64;
/// Connections at a thousand requests a second.
const CALM: usize = 16;
/// The calm load, in requests a second.
const CALM_RATE: f64 = 1_000.0;
/// How much of what the better peer can do is "70 % of the load".
const PART: f64 = 0.7;

/// One program's runs.
struct Measured {
    cpu: Series,
    rate: Series,
    busy: Series,
    tail: Series,
    calm: [Series; 2],
}

/// All of it, in turns: every program once, then every program again.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let backend = bench.backend()?;
    let mesh = match bench.edge_proxy {
        Some(_) => None,
        None => Some(bench.mesh(Some(bench.cores.proxy))?),
    };
    let edge = match &mesh {
        Some(mesh) => edge(bench, mesh)?,
        None => bench.bare_edge(backend.target.address)?,
    };
    let peers = bench.peers(backend.target.address)?;
    let servers: Vec<&Server> = [&edge].into_iter().chain(&peers).chain([&backend]).collect();
    let mut measured: Vec<Measured> = servers.iter().map(|server| Measured::new(server.name)).collect();

    let mut failures = Vec::new();
    for _ in 0..bench.runs {
        for (server, series) in servers.iter().zip(&mut measured) {
            bench.progress(&format!("edge, {BUSY} connections, as fast as it can: {}", server.name));
            bench.drive(server, BUSY, Pace::Closed, bench.short())?;
            let before = server.cpu_time()?;
            let tally = bench.drive(server, BUSY, Pace::Closed, bench.long())?;
            let used = (server.cpu_time()? - before).as_secs_f64();
            series.cpu.runs.push(used * 1e6 / count(&tally));
            series.rate.runs.push(tally.rate());
            series.busy.runs.push(used * 100.0 / tally.elapsed.as_secs_f64());
            failures.extend(failed(server, &tally));
        }
    }
    let is_peer = |series: &&Measured| peers.iter().any(|peer| peer.name == series.rate.who);
    let best = measured.iter().filter(is_peer).map(|series| series.rate.median()).fold(0.0, f64::max);
    for _ in 0..bench.runs {
        for (server, series) in servers.iter().zip(&mut measured) {
            bench.progress(&format!("edge at {:.0} requests/s: {}", best * PART, server.name));
            let tally = bench.drive(server, BUSY, Pace::Open(best * PART), bench.long())?;
            series.tail.runs.push(tally.latency.micros(0.99) / 1e3);
            failures.extend(failed(server, &tally));
        }
    }
    for _ in 0..bench.runs {
        for (server, series) in servers.iter().zip(&mut measured) {
            bench.progress(&format!("edge at {CALM_RATE} requests/s: {}", server.name));
            let tally = bench.drive(server, CALM, Pace::Open(CALM_RATE), bench.long())?;
            series.calm[0].runs.push(tally.latency.micros(0.5));
            series.calm[1].runs.push(tally.latency.micros(0.99));
            failures.extend(failed(server, &tally));
        }
    }
    if !failures.is_empty() {
        bail!("requests failed under plain load: {}", failures.join("; "));
    }
    Ok(figures(measured, best * PART))
}

/// The edge of `mesh` with one replica of billing behind it, on the load's core as the peers' backend is.
fn edge(bench: &Bench, mesh: &Mesh) -> Result<Server> {
    let spore = mesh.publish("billing", &bench.billing)?;
    mesh.submit(&mesh.plan("billing", &spore, 1, |_| ())?)?;
    mesh.settled("billing", 1)?;
    for pid in mesh.replicas("billing")? {
        machine::bind_process(pid, bench.cores.load)?;
    }
    let target = Target::new(mesh.edge, "/billing/hello", "from billing");
    Ok(Server::new("mesh", target, mesh.pids()?))
}

fn failed(server: &Server, tally: &Tally) -> Option<String> {
    (tally.failed() > 0).then(|| format!("{}: {}", server.name, tally.failures_text()))
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
fn count(tally: &Tally) -> f64 {
    (tally.answered.max(1)) as f64
}

impl Measured {
    fn new(who: &str) -> Self {
        let series = || Series::new(who);
        Self { cpu: series(), rate: series(), busy: series(), tail: series(), calm: [series(), series()] }
    }

    /// A latency over that of a direct request.
    fn added(&self, direct: &Self, at: usize) -> Series {
        let base = direct.calm[at].median();
        Series {
            who: self.calm[at].who.clone(),
            runs: self.calm[at].runs.iter().map(|value| value - base).collect(),
        }
    }
}

fn figures(mut measured: Vec<Measured>, part: f64) -> Vec<Figure> {
    let direct = measured.pop().expect("the backend is the last");
    let busy: Vec<_> = measured
        .iter()
        .map(|series| format!("{} {} %", series.busy.who, number(series.busy.median())))
        .collect();
    let figure = |name: &str, bar, pick: &dyn Fn(&Measured) -> Series| {
        let mut all = measured.iter().map(pick);
        let ours = all.next().expect("the mesh is the first");
        Figure::new(name, ours, all.collect(), bar)
    };
    vec![
        figure("edge, 64 connections: CPU a request, us", Bar::NoMoreThanBest, &|m| m.cpu.clone())
            .note(format!("the proxy's core was busy: {}", busy.join(", "))),
        figure("edge, 64 connections: requests/s", Bar::NoLessThanBest, &|m| m.rate.clone())
            .note(format!("direct, without a proxy: {}", direct.rate)),
        figure("edge, p99 at 70 % of the load, ms", Bar::NoMoreThanBest, &|m| m.tail.clone())
            .note(format!("{part:.0} requests/s, 70 % of what the better peer can; direct {}", direct.tail)),
        figure("edge, added latency at 1,000 requests/s, p50, us", Bar::NoMoreThanBest, &|m| {
            m.added(&direct, 0)
        })
        .note(format!("over a direct request's {}", direct.calm[0])),
        figure("edge, added latency at 1,000 requests/s, p99, us", Bar::NoMoreThanBest, &|m| {
            m.added(&direct, 1)
        })
        .note(format!("over a direct request's {}", direct.calm[1])),
    ]
}
