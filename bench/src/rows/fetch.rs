//! A node fetches a spore with a program of 256 MB from three others, beside curl that fetches the file from an nginx.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::hand::Published;
use crate::nodes::Nodes;
use crate::peers::{Certificate, Files, nginx_files};
use crate::process::pause;

const MEGABYTE: usize = 1_000_000;
const MEGABYTES: usize = 256;
/// Of these nodes the last one fetches.
const NODES: usize = 4;
/// The longest a fetch may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks for the file.
const STEP: Duration = Duration::from_micros(500);

/// In turns: a fetch, a download.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let nodes = Nodes::start(bench, NODES, &[], None)?;
    let program = nodes.dir().join("bulk");
    large(&bench.billing, &program)?;
    let file = nodes.all[0].pack("bulk", &program)?;
    let bytes = fs::read(&file)?;
    let mut held = Vec::new();
    for holder in &nodes.all[..NODES - 1] {
        held.push(holder.store(&bytes)?);
    }
    let size = megabytes(bytes.len());
    drop(bytes);
    let root = file.parent().context("it is in a folder")?;
    let files = nginx_files(root, bench.dir.path(), &Certificate::make(bench.dir.path())?)?;
    let name = file.file_name().context("it has a name")?.to_string_lossy().into_owned();
    let (mut mesh, mut curl, mut kept) =
        (Series::new("mesh"), Series::new("nginx to curl"), Series::new("checked and synced"));
    for run in 0..=bench.runs {
        bench.progress("256 MB from three holders");
        let fetched = size / fetch(&nodes, &held[0], run)?;
        bench.progress("256 MB from nginx");
        let (got, safe) = download(&files, &name, nodes.dir())?;
        // The first of each warms up.
        if run > 0 {
            mesh.runs.push(fetched);
            curl.runs.push(size / got);
            kept.runs.push(size / safe);
        }
    }
    Ok(vec![
        Figure::new("a spore of 256 MB from 3 nodes, MB/s", mesh, vec![curl], Bar::ShareOfBest(0.9)).note(
            format!("from the plan on, every piece checked, synced at the end; curl's file, then checked by openssl and synced: {kept}"),
        ),
    ])
}

/// The workload, with more behind its end than it needs.
fn large(billing: &Path, into: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(into)?);
    out.write_all(&fs::read(billing)?)?;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut block = vec![0; MEGABYTE];
    for _ in 0..MEGABYTES {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_ne_bytes());
        }
        out.write_all(&block)?;
    }
    Ok(out.flush()?)
}

/// How long the last node takes to have it, from the plan that asks for it; it has forgotten it when this returns.
fn fetch(nodes: &Nodes, held: &Published, run: usize) -> Result<f64> {
    let last = &nodes.all[NODES - 1];
    let app = format!("bulk-{run}");
    let file = last.state.join("repo").join(held.path.file_name().context("it has a name")?);
    let record = last.plan(&app, held, 1, |plan| {
        plan.constraints.insert("node".to_owned(), last.name.clone());
    })?;
    let since = Instant::now();
    last.submit(&record)?;
    while !file.exists() {
        if since.elapsed() > PATIENCE {
            bail!("the spore is not there after {PATIENCE:?}");
        }
        pause(STEP);
    }
    let took = since.elapsed().as_secs_f64();
    last.remove(&app)?;
    fs::remove_file(&file)?;
    Ok(took)
}

/// How long curl takes to have the file, and until it is checked and synced.
fn download(files: &Files, name: &str, dir: &Path) -> Result<(f64, f64)> {
    let into = dir.join("downloaded");
    let since = Instant::now();
    quietly(
        Command::new("curl")
            .args(["-sSf", "--tlsv1.3", "--cacert"])
            .arg(&files.certificate)
            .arg("-o")
            .arg(&into)
            .arg(format!("{}{name}", files.url)),
    )?;
    let got = since.elapsed().as_secs_f64();
    quietly(Command::new("openssl").args(["dgst", "-sha256"]).arg(&into))?;
    File::open(&into)?.sync_all()?;
    let safe = since.elapsed().as_secs_f64();
    fs::remove_file(&into)?;
    Ok((got, safe))
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "256 million")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
