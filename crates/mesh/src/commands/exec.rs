//! `mesh exec`: a command with the environment and in the folder of a replica.

use genome::ReplicaState;
use membrane::Exit;
use types::{AppName, ReplicaName};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;

/// Run a command in the place of a replica.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// This replica instead of the first that is ready
    #[arg(long)]
    replica: Option<ReplicaName>,
    /// The app
    app: AppName,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let status = context.block_on(async { Ok(client.app(&args.app).await?) })?;
    let found = status.replicas.iter().filter(|replica| replica.pid.is_some()).find(|replica| {
        args.replica.as_ref().map_or(replica.state == ReplicaState::Ready, |name| replica.replica == *name)
    });
    let Some(pid) = found.and_then(|replica| replica.pid) else {
        let which =
            args.replica.map_or_else(|| "ready replica".to_owned(), |name| format!("running replica {name}"));
        return Err(Failure::new(format_args!("{} has no {which}", args.app))
            .hint(format_args!("`mesh ps {}` lists its replicas", args.app)));
    };
    let exit = membrane::exec_in(pid, &args.command)
        .map_err(|e| Failure::new(format_args!("failed to run {:?}: {e}", args.command[0])))?;
    let code = match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128 + signal,
    };
    Ok(Code::Foreign(u8::try_from(code).unwrap_or(u8::MAX)))
}
