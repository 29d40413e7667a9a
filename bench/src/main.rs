//! Bench: prints what the mesh must show, measured on this machine, beside its peers in the same run.
//!
//! `cargo run --release -p bench` builds the product as it is shipped, measures every row, and prints the table.

mod api;
mod bench;
mod build;
mod figures;
mod hand;
mod load;
mod machine;
mod nodes;
mod peers;
mod process;
mod product;
mod rows;
mod table;

use std::cell::Cell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::bench::Bench;
use crate::figures::{Figure, Series, Verdict};
use crate::rows::ROWS;

/// The peers, and what binds and ends processes.
const TOOLS: [&str; 6] = ["nginx", "haproxy", "openssl", "curl", "taskset", "setpriv"];

/// Measure the mesh and print the table of its figures.
#[derive(Parser)]
struct Args {
    /// Only these parts: see --list
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Short runs: a look, no result
    #[arg(long)]
    quick: bool,
    /// How often each figure is measured
    #[arg(long)]
    runs: Option<usize>,
    /// Measure this mesh instead of building one
    #[arg(long, value_name = "PATH")]
    mesh: Option<PathBuf>,
    /// In the part `edge`, measure this program (examples/edge_proxy of the crate edge) instead of a mesh
    #[arg(long, value_name = "PATH")]
    edge_proxy: Option<PathBuf>,
    /// Write the figures there as JSON, every run of them
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Name the parts and end
    #[arg(long)]
    list: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut out = io::stdout();
    if args.list {
        for row in ROWS {
            writeln!(out, "{:10} {}", row.name, row.about)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.only.iter().find(|name| ROWS.iter().all(|row| row.name != name.as_str())) {
        bail!("there is no part called {unknown:?}; --list names them");
    }
    let missing: Vec<_> = TOOLS.iter().copied().filter(|tool| !machine::has_program(tool)).collect();
    if !missing.is_empty() {
        bail!("missing on this machine: {}; bench/setup installs what is needed", missing.join(", "));
    }
    let dir = tempfile::Builder::new().prefix("mesh-bench-").tempdir()?;
    process::end_on_signal(dir.path().to_owned())?;
    let bench = Bench {
        cores: machine::Cores::find()?,
        runs: args.runs.unwrap_or(if args.quick { 2 } else { 7 }).max(1),
        quick: args.quick,
        dir,
        mesh: match args.mesh {
            Some(path) => {
                path.canonicalize().with_context(|| format!("failed to find {}", path.display()))?
            }
            None => build::mesh()?,
        },
        edge_proxy: args.edge_proxy,
        billing: build::billing()?,
        meshes: Cell::default(),
    };
    let head = machine::describe();
    let figures = measure(&bench, &args.only);
    table::print(&mut out, &head, &figures)?;
    if let Some(path) = args.json {
        std::fs::write(&path, table::json(&head, &figures)?)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let missed = figures.iter().filter(|figure| figure.verdict() == Verdict::Missed).count();
    Ok(ExitCode::from(u8::from(missed > 0)))
}

/// Every part that was asked for; one that fails is a line that says so, and the others go on.
fn measure(bench: &Bench, only: &[String]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for row in ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name)) {
        match (row.run)(bench) {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                let failed = Figure::new(row.about, Series::new("mesh"), Vec::new(), figures::Bar::None);
                figures.push(failed.note(format!("not measured: {error:#}")));
            }
        }
        bench.progress("");
    }
    figures
}
