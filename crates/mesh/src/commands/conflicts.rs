//! `mesh conflicts`: what two operators wrote on two sides of a cut. One holds; the other is kept until somebody
//! decides.

use clap::Subcommand;
use fabric::{Draft, Kind, RecordName};
use mycelium::api::{Conflict, Side};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;

/// Show and settle what was written on two sides of a cut.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write one of both again, as the next generation: then it is settled everywhere
    Resolve {
        /// The kind of record, as it is shown: plan, budget…
        kind: Kind,
        /// Its name, as it is shown
        name: RecordName,
        /// The record that is to hold: its id, or the beginning of it
        #[arg(long, value_name = "ID")]
        keep: String,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        None => list(context, args.json)?,
        Some(Action::Resolve { kind, name, keep, operator }) => {
            resolve(context, &kind, &name, &keep, operator.as_deref())?;
        }
    }
    Ok(Code::Ok)
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let conflicts = context.block_on(async { Ok(client.conflicts().await?) })?;
    if json {
        return context.out.json(&conflicts);
    }
    if conflicts.is_empty() {
        context.out.note("nothing was written twice");
    }
    for conflict in &conflicts {
        let Conflict { kind, name, generation, won, lost } = conflict;
        context.out.line(format_args!("{kind} {name}, generation {generation}"))?;
        for (word, side) in [("holds", won), ("lost", lost)] {
            let said = side.value.as_ref().map_or_else(|| "a removal".to_owned(), ToString::to_string);
            context.out.line(format_args!(
                "  {word:<5}  {}  by {}\n         {said}",
                side.id.short(),
                side.writer
            ))?;
        }
        context.out.note(format_args!(
            "  settle it: mesh conflicts resolve {kind} {name} --keep {}",
            won.id.short()
        ));
    }
    Ok(())
}

fn resolve(
    context: &Context,
    kind: &Kind,
    name: &RecordName,
    keep: &str,
    key: Option<&str>,
) -> Result<(), Failure> {
    let operator = Operator::open(context, key)?;
    context.block_on(async {
        let conflicts = operator.client().conflicts().await?;
        let side = find(conflicts, kind, name, keep)?;
        let receipt = match &side.value {
            None => operator.unsay(kind.clone(), name).await?,
            Some(value) => {
                operator
                    .say(kind, name, |at, hand| {
                        let draft =
                            Draft::of_operator(hand.mesh(), kind.clone(), name.clone(), at.next_generation);
                        Ok(Some(draft.value(value)?.sign(hand.key())?))
                    })
                    .await?
            }
        };
        let safe = receipt.map(|receipt| receipt.safe).unwrap_or_default();
        context.out.note(format_args!("settled: {kind} {name} is what {} says ({safe})", side.id.short()));
        Ok(())
    })
}

fn find(conflicts: Vec<Conflict>, kind: &Kind, name: &RecordName, keep: &str) -> Result<Side, Failure> {
    let of_name = conflicts.into_iter().filter(|one| one.kind == kind.as_str() && one.name == name.as_str());
    let sides: Vec<Side> = of_name.flat_map(|one| [one.won, one.lost]).collect();
    if sides.is_empty() {
        return Err(Failure::usage(format_args!("{kind} {name} was not written twice"))
            .hint("`mesh conflicts` shows what was"));
    }
    let mut meant = sides.into_iter().filter(|side| side.id.to_string().starts_with(keep));
    match (meant.next(), meant.next()) {
        (Some(side), None) => Ok(side),
        (Some(one), Some(other)) if one.id == other.id => Ok(one),
        (None, _) => Err(Failure::usage(format_args!("no record of {kind} {name} begins with {keep:?}"))
            .hint("`mesh conflicts` shows both")),
        _ => Err(Failure::usage(format_args!("several records begin with {keep:?}"))
            .hint("write more digits of the id")),
    }
}
