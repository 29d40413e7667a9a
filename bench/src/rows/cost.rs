//! Cost: what membrane and telemetry add to a request through the edge, beside the same mesh without either.
//!
//! The other one sees no cgroups, so that no program stands at any group, and its workload is unconfined.

use anyhow::{Context as _, Result, bail, ensure};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::load::{Pace, Target};
use crate::machine;
use crate::peers::Server;
use crate::product::Mesh;

const CONNECTIONS: usize = 64;

/// In turns: with, without.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let (with, without) = (bench.mesh(Some(bench.cores.proxy))?, bench.mesh_without_groups()?);
    let servers =
        [serve(bench, "mesh", &with, None)?, serve(bench, "without", &without, Some("unconfined"))?];
    let mut costs = [Series::new("mesh"), Series::new("without")];
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
    let [ours, without] = costs;
    let name = "a request with membrane and telemetry: CPU of edge and workload, us";
    let ratio = ours.median() / without.median();
    let figure = Figure::new(name, ours, vec![without], Bar::AtMostShare(1.02));
    Ok(vec![figure.note(format!("{:+.1} %", (ratio - 1.0) * 100.0))])
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
