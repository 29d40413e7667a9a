//! Cost: what membrane and telemetry add to a request through the edge, beside the same mesh without either.
//!
//! The other one sees no cgroups, so that no program stands at any group, and its workload is unconfined. A third is the same
//! as the first, and tells a collector of requests, metrics and logs.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::load::{Pace, Target};
use crate::machine;
use crate::peers::{Server, free_port, local};
use crate::process::Process;
use crate::product::Mesh;

const CONNECTIONS: usize = 64;
/// How long the collector may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// In turns: with, without, and telling a collector.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let (with, without) = (bench.mesh(Some(bench.cores.proxy))?, bench.mesh_without_groups()?);
    let mut servers =
        vec![serve(bench, "mesh", &with, None)?, serve(bench, "without", &without, Some("unconfined"))?];
    let collector = Collector::start(bench)?;
    let telling = collector.as_ref().map(|collector| bench.mesh_telling(&collector.url)).transpose()?;
    if let Some(mesh) = &telling {
        servers.push(serve(bench, "telling", mesh, None)?);
    }
    let mut costs: Vec<Series> = servers.iter().map(|server| Series::new(server.name)).collect();
    for run in 0..=bench.runs * 3 {
        for (server, cost) in servers.iter().zip(&mut costs) {
            bench.progress(&format!(
                "edge, {CONNECTIONS} connections, membrane and telemetry: {}",
                server.name
            ));
            let before = server.cpu_time()?;
            let tally = bench.drive(server, CONNECTIONS, Pace::Closed, bench.long())?;
            let used = server.cpu_time()? - before;
            if tally.failed() > 0 {
                bail!("requests failed under plain load: {}: {}", server.name, tally.failures_text());
            }
            // The first of each is a warm-up.
            if run > 0 {
                cost.runs.push(used.as_secs_f64() * 1e6 / tally.answered as f64);
            }
        }
    }
    let figure = |name: &str, ours: &Series| {
        let ratio = ours.median() / costs[1].median();
        // Both of a pair ran within seconds: what the machine does beside it changes more slowly than that.
        let mut pairs = Series::new("pairs");
        pairs.runs.extend(ours.runs.iter().zip(&costs[1].runs).map(|(with, without)| with / without));
        let figure = Figure::new(name, ours.clone(), vec![costs[1].clone()], Bar::AtMostShare(1.02));
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        figure.note(format!(
            "{:+.1} %; the median of the pairs {:+.1} %",
            percent(ratio),
            percent(pairs.median())
        ))
    };
    let name = "a request with membrane and telemetry: CPU of edge and workload, us";
    let mut figures = vec![figure(name, &costs[0])];
    match (costs.get(2), collector) {
        (Some(telling), Some(collector)) => {
            collector.was_told()?;
            let telling = Series { who: "mesh".to_owned(), runs: telling.runs.clone() };
            figures.push(figure("the same while a collector is told, us", &telling));
        }
        _ => bench.progress("no collector is told: `cargo xtask tools otelcol` builds one, with Go\n"),
    }
    Ok(figures)
}

/// A real one, which writes what it is told into a file. Its own work is nobody's cost here.
struct Collector {
    url: String,
    told: PathBuf,
    _process: Process,
}

impl Collector {
    /// On the load's core; none where there is no program.
    fn start(bench: &Bench) -> Result<Option<Self>> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/otelcol");
        let program = if built.is_file() { built } else { PathBuf::from("otelcol") };
        if !program.is_file() && !machine::has_program("otelcol") {
            return Ok(None);
        }
        let (at, told) = (local(free_port()?), bench.dir.path().join("told.json"));
        let pipeline = |what: &str| format!("    {what}: {{receivers: [otlp], exporters: [file]}}\n");
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{at}'}}}}}}}}\n\
             exporters: {{file: {{path: '{}'}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n{}{}{}",
            told.display(),
            pipeline("traces"),
            pipeline("metrics"),
            pipeline("logs"),
        );
        let file = bench.dir.path().join("collector.yaml");
        std::fs::write(&file, config)?;
        let argv = [&*program.to_string_lossy(), &format!("--config=file:{}", file.display())];
        let log = bench.dir.path().join("collector.log");
        let mut process = Process::start("otelcol", &argv, &[], Some(bench.cores.load), &log)?;
        process.until("it listened", PATIENCE, || TcpStream::connect(at).ok())?;
        Ok(Some(Self { url: format!("http://{at}"), told, _process: process }))
    }

    /// Else it wasn't what was to be measured.
    fn was_told(&self) -> Result<()> {
        let told = std::fs::read_to_string(&self.told)?;
        for what in ["resourceSpans", "resourceMetrics"] {
            ensure!(told.contains(what), "the collector was told of no {what}");
        }
        Ok(())
    }
}

/// The edge of `mesh` with one replica of billing behind it.
fn serve(bench: &Bench, name: &'static str, mesh: &Mesh, profile: Option<&str>) -> Result<Server> {
    let spore = mesh.publish("billing", &bench.billing)?;
    mesh.submit(&mesh.plan("billing", &spore, 1, |plan| plan.release.profile = profile.map(str::to_owned))?)?;
    mesh.settled("billing", 1)?;
    let mut pids = mesh.pids()?;
    for pid in mesh.replicas("billing")? {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let filter = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).context("no Seccomp")?;
        ensure!((filter.trim() == "2") == profile.is_none(), "a workload of {name} is confined otherwise");
        machine::bind_process(pid, bench.cores.load)?;
        pids.push(pid);
    }
    Ok(Server::new(name, Target::new(mesh.edge, "/billing/hello", "from billing"), pids))
}
