//! A request that comes in at node A and is served by a replica on node B, beside two nginx with TLS 1.3 between them.
//!
//! Both nodes, and both nginx, share one core; the load and the replica have the other. So the limit is what a request
//! costs both of them together.

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series, number};
use crate::load::{Pace, Tally, Target};
use crate::machine;
use crate::nodes::Nodes;
use crate::peers::{Certificate, Server, nginx_pair};

/// Connections of the load that looks for the limit.
const BUSY: usize = 64;
/// Connections of the calm one.
const CALM: usize = 16;
/// The calm load, in requests a second.
const CALM_RATE: f64 = 1_000.0;

/// One program's runs.
struct Measured {
    cpu: Series,
    rate: Series,
    calm: [Series; 2],
}

/// All of it, in turns.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let backend = bench.backend()?;
    let nodes = Nodes::start(bench, 2, &[], Some(bench.cores.proxy))?;
    let mesh = across(bench, &nodes)?;
    let certificate = Certificate::make(bench.dir.path())?;
    let pair = nginx_pair(backend.target.address, bench.dir.path(), Some(bench.cores.proxy), &certificate)?;
    let servers = [&mesh, &pair, &backend];
    let mut measured = servers.map(|server| Measured::new(server.name));
    for _ in 0..bench.runs {
        for (server, series) in servers.iter().zip(&mut measured) {
            bench.progress(&format!("a hop, {BUSY} connections: {}", server.name));
            good(server, &bench.drive(server, BUSY, Pace::Closed, bench.short())?)?;
            let before = server.cpu_time()?;
            let tally = bench.drive(server, BUSY, Pace::Closed, bench.long())?;
            good(server, &tally)?;
            let used = (server.cpu_time()? - before).as_secs_f64();
            series.cpu.runs.push(used * 1e6 / (tally.rate() * tally.elapsed.as_secs_f64()));
            series.rate.runs.push(tally.rate());
        }
        for (server, series) in servers.iter().zip(&mut measured) {
            bench.progress(&format!("a hop, {CALM_RATE} requests/s: {}", server.name));
            let tally = bench.drive(server, CALM, Pace::Open(CALM_RATE), bench.long())?;
            good(server, &tally)?;
            series.calm[0].runs.push(tally.latency.micros(0.5));
            series.calm[1].runs.push(tally.latency.micros(0.99));
        }
    }
    Ok(figures(measured))
}

/// The edge of the first node, the one replica on the second, on the load's core as the peers' backend is.
fn across(bench: &Bench, nodes: &Nodes) -> Result<Server> {
    let [near, far] = &nodes.all[..] else { bail!("two nodes were asked for") };
    let spore = far.publish("billing", &bench.billing)?;
    let record = far.plan("billing", &spore, 1, |plan| {
        plan.constraints.insert("node".to_owned(), far.name.clone());
    })?;
    far.submit(&record)?;
    nodes.whole(&[0, 1])?;
    near.settled("billing", 1)?;
    for pid in near.replicas("billing")? {
        machine::bind_process(pid, bench.cores.load)?;
    }
    let target = Target::new(near.edge()?, "/billing/hello", "from billing");
    Ok(Server::new("mesh", target, [near.pids(), far.pids()].concat()))
}

fn good(server: &Server, tally: &Tally) -> Result<()> {
    if tally.failed() > 0 {
        bail!("requests failed under plain load: {}: {}", server.name, tally.failures_text());
    }
    Ok(())
}

impl Measured {
    fn new(who: &str) -> Self {
        let series = || Series::new(who);
        Self { cpu: series(), rate: series(), calm: [series(), series()] }
    }

    /// A latency over that of a direct request.
    fn added(&self, direct: &Self, at: usize) -> Series {
        let base = direct.calm[at].median();
        let calm = &self.calm[at];
        Series { who: calm.who.clone(), runs: calm.runs.iter().map(|value| value - base).collect() }
    }
}

fn figures([mesh, pair, direct]: [Measured; 3]) -> Vec<Figure> {
    let added = |name: &str, at: usize| {
        let (ours, theirs) = (mesh.added(&direct, at), pair.added(&direct, at));
        Figure::new(name, ours, vec![theirs], Bar::NoMoreThanBest)
            .note(format!("over a direct request's {}; 1,000 requests/s", direct.calm[at]))
    };
    let ratio = mesh.cpu.median() / pair.cpu.median();
    vec![
        added("through another node: added latency, p50, us", 0),
        added("through another node: added latency, p99, us", 1),
        Figure::new(
            "through another node, 64 connections: requests/s",
            mesh.rate,
            vec![pair.rate],
            Bar::ShareOfBest(0.9),
        )
        .note(format!("both nodes, and both nginx, on one core; direct {}", direct.rate)),
        Figure::new(
            "through another node, 64 connections: CPU a request of both ends, us",
            mesh.cpu,
            vec![pair.cpu],
            Bar::None,
        )
        .note(format!("{} x", number(ratio))),
    ]
}
