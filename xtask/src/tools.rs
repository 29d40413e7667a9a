//! Programs of others that tests are held against: promtool, and an OpenTelemetry collector. Built once from their pinned
//! sources by way of Go's module proxy, whose checksums Go checks; kept in `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Prometheus 3.15; without the clouds that it can ask for targets, which take most of its time to build.
const PROMTOOL: &str = "v0.315.0";
const PROMTOOL_PACKAGE: &str = "github.com/prometheus/prometheus/cmd/promtool";
/// The collector's builder. It makes a collector of what stands in [`RECIPE`].
const COLLECTOR: &str = "v0.145.0";
const BUILDER_PACKAGE: &str = "go.opentelemetry.io/collector/cmd/builder";
/// OTLP in, JSON lines out.
const RECIPE: &str = include_str!("tools/collector.yaml");

/// Build them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this one
    #[arg(value_parser = ["promtool", "otelcol"])]
    only: Option<String>,
}

/// Builds what isn't there; prints nothing but what Go does. Returns the folder that they are in.
pub fn run(root: &Path, args: &Args) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let tools = target.join("tools");
    let bin = tools.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("can't make {}", bin.display()))?;
    for (name, version, build) in
        [("promtool", PROMTOOL, promtool as Build), ("otelcol", COLLECTOR, collector)]
    {
        let stamp = tools.join(format!("{name}.version"));
        let is_there =
            bin.join(name).exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == version);
        if is_there || args.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let source = tools.join(name);
        if source.exists() {
            fs::remove_dir_all(&source).with_context(|| format!("can't empty {}", source.display()))?;
        }
        fs::create_dir_all(&source)?;
        build(&source, &bin.join(name)).with_context(|| format!("can't build {name} {version}"))?;
        fs::write(&stamp, version)?;
    }
    Ok(bin)
}

type Build = fn(&Path, &Path) -> Result<()>;

fn promtool(source: &Path, to: &Path) -> Result<()> {
    go(source, &["mod", "init", "promtool"])?;
    go(source, &["get", &format!("{PROMTOOL_PACKAGE}@{PROMTOOL}")])?;
    let to = to.to_string_lossy();
    go(
        source,
        &["build", "-tags", "remove_all_sd", "-trimpath", "-ldflags=-s -w", "-o", &to, PROMTOOL_PACKAGE],
    )
}

fn collector(source: &Path, to: &Path) -> Result<()> {
    let recipe = source.join("collector.yaml");
    fs::write(&recipe, RECIPE)?;
    let recipe = recipe.to_string_lossy();
    let builder = format!("{BUILDER_PACKAGE}@{COLLECTOR}");
    // What it would do besides writing the source is done by what follows, without the tests of all modules.
    go(source, &["run", &builder, "--config", &recipe, "--skip-get-modules", "--skip-compilation"])?;
    let made = source.join("made");
    go(&made, &["build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", &to.to_string_lossy(), "."])
}

fn go(folder: &Path, words: &[&str]) -> Result<()> {
    let mut go = Command::new("go");
    go.args(words)
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOWORK", "off");
    let status = go.status().context("there is no Go on this machine")?;
    if !status.success() {
        bail!("`go {}` failed", words.join(" "));
    }
    Ok(())
}
