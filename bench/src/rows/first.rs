//! From a plan to the first answer, and from a crash to the next one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::Advice;
use rustix::process::Signal;

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::hand::Published;
use crate::peers::{free_port, local};
use crate::process::{pause, signal};
use crate::product::Mesh;

/// Between two questions whether there is an answer yet.
const STEP: Duration = Duration::from_micros(100);
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plan published -> first 200, with the spore in the page cache and without, and the bare process beside it.
pub fn plan(bench: &Bench) -> Result<Vec<Figure>> {
    let mesh = bench.mesh(None)?;
    let (mut warm, mut cold, mut bare) =
        (Series::new("mesh"), Series::new("mesh"), Series::new("spawn + connect"));
    // the very first one also pays for what the mesh itself touches for the first time
    let mut synced = Series::new("mesh");
    sprout(bench, &mesh, "before", false)?;
    for run in 0..times(bench) {
        bench.progress("plan published -> first 200");
        bare.runs.push(spawn(&bench.billing)?);
        let (answered, acknowledged) = sprout(bench, &mesh, &format!("warm-{run}"), false)?;
        warm.runs.push(answered);
        synced.runs.push(acknowledged);
        cold.runs.push(sprout(bench, &mesh, &format!("cold-{run}"), true)?.0);
    }
    let (name, bar) = ("plan published -> first 200, page cache warm, ms", Bar::AtMost(10.0));
    let warm = Figure::new(name, warm, vec![bare.clone()], bar);
    let (name, bar) = ("plan published -> first 200, first time, ms", Bar::AtMost(25.0));
    let cold = Figure::new(name, cold, vec![bare], bar);
    Ok(vec![
        warm.note(format!("the plan was synced to disk and acknowledged after {synced} of them")),
        cold.note("the spore's pages were dropped from the cache"),
    ])
}

/// kill -9 of the only replica -> first 200.
pub fn crash(bench: &Bench) -> Result<Vec<Figure>> {
    let mesh = bench.mesh(None)?;
    let mut series = Series::new("mesh");
    for run in 0..times(bench) {
        bench.progress("kill -9 of the only replica -> first 200");
        // an app of its own each time: a second crash within a minute is meant to wait longer
        let app = format!("crash-{run}");
        let spore = mesh.publish(&app, &bench.billing)?;
        mesh.submit(&mesh.plan(&app, &spore, 1, |_| ())?)?;
        mesh.settled(&app, 1)?;
        let pid = *mesh.replicas(&app)?.first().context("no replica")?;
        let since = Instant::now();
        signal(pid, Signal::KILL);
        // whoever answers now is another process: this one can't
        until_answered(mesh.edge, &format!("/{app}/hello"), since)?;
        series.runs.push(since.elapsed().as_secs_f64() * 1e3);
        if mesh.replicas(&app)?.contains(&pid) {
            bail!("replica {pid} of {app} was killed and is still called ready");
        }
    }
    Ok(vec![Figure::new(
        "kill -9 of the only replica -> first 200, ms",
        series,
        Vec::new(),
        Bar::AtMost(100.0),
    )])
}

fn times(bench: &Bench) -> usize {
    if bench.quick { 5 } else { 3 * bench.runs }
}

/// One replica of a new app, in milliseconds: from the plan to its first answer, and until the plan was acknowledged.
fn sprout(bench: &Bench, mesh: &Mesh, app: &str, cold: bool) -> Result<(f64, f64)> {
    let spore = mesh.publish(app, &bench.billing)?;
    if cold {
        drop_pages(&spore)?;
    }
    let record = mesh.plan(app, &spore, 1, |_| ())?;
    let since = Instant::now();
    mesh.submit(&record)?;
    let acknowledged = since.elapsed();
    until_answered(mesh.edge, &format!("/{app}/hello"), since)?;
    let answered = since.elapsed();
    mesh.settled(app, 1)?;
    mesh.cli(&["stop", app])?;
    Ok((answered.as_secs_f64() * 1e3, acknowledged.as_secs_f64() * 1e3))
}

fn drop_pages(spore: &Published) -> Result<()> {
    let file = File::open(&spore.path)?;
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?)
}

/// Asks until the answer is 200.
pub(super) fn until_answered(address: SocketAddr, path: &str, since: Instant) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut stream = None;
    loop {
        match ask(&mut stream, address, path) {
            Ok(200) => return Ok(()),
            Ok(status) => drop(seen.insert(status)),
            Err(_) => stream = None,
        }
        if since.elapsed() > PATIENCE {
            bail!("{path} wasn't answered within {PATIENCE:?}; statuses seen: {seen:?}");
        }
        pause(STEP);
    }
}

/// One request over a kept connection; the status of its answer.
fn ask(kept: &mut Option<TcpStream>, address: SocketAddr, path: &str) -> Result<u16> {
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            kept.insert(stream)
        }
    };
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let (mut bytes, mut filled) = ([0; 4096], 0);
    loop {
        let read = stream.read(&mut bytes[filled..])?;
        filled += read;
        if let Ok(Some(answer)) = crate::load::parse(&bytes[..filled]) {
            if answer.close {
                *kept = None;
            }
            return Ok(answer.status);
        }
        if read == 0 {
            bail!("cut");
        }
    }
}

/// The same program without any mesh, in milliseconds.
fn spawn(billing: &Path) -> Result<f64> {
    struct Reaped(Child);
    impl Drop for Reaped {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let port = free_port()?;
    let since = Instant::now();
    let child = Command::new(billing).env("PORT", port.to_string()).stdout(Stdio::null()).spawn()?;
    let _reaped = Reaped(child);
    until_answered(local(port), "/hello", since)?;
    Ok(since.elapsed().as_secs_f64() * 1e3)
}
