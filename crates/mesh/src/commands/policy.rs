//! `mesh policy`: what must hold before a spore may start, in Rego.

mod check;
mod files;
mod force;
mod test;

use std::path::PathBuf;

use clap::Subcommand;
use mycelium::admission::WORKER;
use policy::Evaluator;
use types::AppName;

use crate::context::Context;
use crate::daemon::program;
use crate::exit::Code;
use crate::failure::Failure;
use crate::pairs::Pair;

/// Say what must hold before a spore may start, in Rego.
///
/// Every value of `deny` in `package mesh.admission` is a reason not to start a replica. All policies in force are
/// evaluated together, on every node, before each start; what can't be evaluated is a no. docs/policy.md says what
/// they see as `input`, and examples/policies/ has some.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the tests in a folder: every rule whose name begins with `test_`
    Test {
        /// A folder with .rego files
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say whether a spore may start by the policies in force, or by those of a folder
    Check(check::Args),
    /// Put policies in force, each under the name of its file; replaces what had the name
    Set {
        /// .rego files; those of tests (`…_test.rego`) are left out
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
    /// List the policies in force
    List {
        /// Print JSON, with their texts
        #[arg(long)]
        json: bool,
    },
    /// Print the text of a policy in force
    Show {
        /// Its name
        name: AppName,
    },
    /// Take policies out of force
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<AppName>,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Test { dir, json } => test::run(context, &dir, json),
        Action::Check(args) => check::run(context, &args),
        Action::Set { files, operator } => force::set(context, &files, operator.as_deref()),
        Action::List { json } => force::list(context, json),
        Action::Show { name } => force::show(context, &name),
        Action::Rm { names, operator } => force::remove(context, &names, operator.as_deref()),
    }
}

fn evaluator() -> Result<Evaluator, Failure> {
    Ok(Evaluator::new(program()?, &[WORKER]))
}

/// An evaluation that gave no answer, as a failure.
fn failed(error: &policy::Error) -> Failure {
    Failure::new(format_args!("failed to {error}"))
}

/// Labels as people give them.
fn labels(given: &[Pair]) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    for Pair { name, value } in given {
        genome::check_label(name, value).map_err(Failure::usage)?;
    }
    Ok(crate::pairs::map(given))
}
