//! `mesh run -digest … -app …`: what is deployed as soon as the mesh serves.

use std::process::Stdio;

use mycelium::Config;
use repo::Repo;
use tokio::process::{Child, Command};
use types::Digest;

use super::Args;
use crate::failure::Failure;

/// Whether the repo has it; before anything is started.
pub fn check(config: &Config, digest: &str) -> Result<(), Failure> {
    let digest: Digest = digest.parse().map_err(|e| {
        Failure::usage(format_args!("--digest: {e}")).hint("`mesh publish` prints the digest of a spore")
    })?;
    let dir = config.repo.clone().unwrap_or_else(|| config.paths.repo());
    Repo::open(dir)?.get(&digest)?;
    Ok(())
}

/// Starts `mesh deploy`, which signs with the operator's key. It ends with us.
pub fn start(config: &Config, args: &Args) -> Result<Child, Failure> {
    let digest = args.digest.as_deref().unwrap_or_default();
    let mut command = Command::new(&config.program);
    if config.paths.state == config.paths.config {
        command.arg("--state").arg(&config.paths.state);
    }
    command.args(["deploy", digest, "--warmup", &format!("{}ms", args.serving.warmup.millis())]);
    if let Some(app) = &args.app {
        command.args(["--app", app.as_str()]);
    }
    if let Some(instances) = args.instances {
        command.args(["--instances", &instances.to_string()]);
    }
    // stdout belongs to whoever waits for the mesh: what is said of the rollout goes to stderr.
    command.stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
    command.spawn().map_err(|e| Failure::new(format_args!("failed to run `mesh deploy`: {e}")))
}
