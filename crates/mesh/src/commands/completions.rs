//! `mesh completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;

/// Print the completions of a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::command(), "mesh", &mut script);
    context.out.raw(&script)?;
    Ok(Code::Ok)
}
