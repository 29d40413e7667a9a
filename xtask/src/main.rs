//! Chores of this repository: `cargo xtask tidy` reads the tree and refuses what review would, `cargo xtask
//! generate` writes what is generated and committed, `cargo xtask sim` runs simulated meshes, `cargo xtask image` builds
//! a container image, `cargo xtask vm` runs tests on other kernels, `cargo xtask tools` builds
//! programs that tests are held against. Only the last two need the network, the first time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

mod generate;
mod image;
mod lex;
mod simulate;
mod tidy;
mod tools;
mod tree;
mod violation;
mod vm;

#[cfg(test)]
mod tests;

#[derive(Parser)]
#[command(about = "Chores of this repository", arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check floors, sizes, module docs, powers, licences, banned crates and generated files
    Tidy,
    /// Write the generated files that are committed (schemas/)
    Generate {
        /// Write nothing; fail when something would change
        #[arg(long)]
        check: bool,
    },
    /// Build a container image that holds nothing but the static binary, and write it as an archive
    Image(image::Args),
    /// Run simulated meshes with every fault there is, and check what must hold; --release is 10 times quicker
    Sim(simulate::Args),
    /// Build promtool and an OpenTelemetry collector with Go, for the tests that use them, and print where they are
    Tools(tools::Args),
    /// Run tests as root on the kernel of Debian 12 or 13, in qemu; the first time it fetches that kernel
    Vm(vm::Args),
}

fn main() -> ExitCode {
    match run(&Args::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(chore: &Chore) -> Result<bool> {
    let root = root()?;
    let violations = match chore {
        Chore::Tidy => tidy::run(&root)?,
        Chore::Generate { check: true } => generate::check(&root)?,
        Chore::Image(args) => {
            println!("{}", image::run(&root, args)?);
            return Ok(true);
        }
        Chore::Sim(args) => return Ok(simulate::run(args)),
        Chore::Tools(args) => {
            println!("{}", tools::run(&root, args)?.display());
            return Ok(true);
        }
        Chore::Vm(args) => return vm::run(&root, args),
        Chore::Generate { check: false } => {
            for path in generate::write(&root)? {
                println!("{}", path.display());
            }
            return Ok(true);
        }
    };
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        eprintln!("xtask: {} to mend", violations.len());
    }
    Ok(violations.is_empty())
}

/// The root of the repository this program was built from.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("xtask stands in the root of the repository")?;
    root.canonicalize().with_context(|| format!("no repository at {}", root.display()))
}
