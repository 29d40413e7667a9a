//! `mesh quarantine`: the records that this node keeps out, since it ended over them.

use clap::Subcommand;
use mycelium::api::Quarantined;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Show and release the records that this node ended over.
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
    /// List them: the same as without a word
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a record in again: if the node ends over it once more, it is back in quarantine
    Release {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        None => list(context, args.json)?,
        Some(Action::List { json }) => list(context, json || args.json)?,
        Some(Action::Release { id }) => release(context, &id)?,
    }
    Ok(Code::Ok)
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let kept_out = context.block_on(async { Ok(client.quarantine().await?) })?;
    if json {
        return context.out.json(&kept_out);
    }
    if kept_out.is_empty() {
        context.out.note("nothing is in quarantine");
        return Ok(());
    }
    let mut table = Table::new(&["RECORD", "ABOUT", "SINCE", "WHY"]);
    for Quarantined { id, what, reason, at } in kept_out {
        table.row([id.short(), what, at.to_string(), reason]);
    }
    context.out.line(table.render())
}

fn release(context: &Context, id: &str) -> Result<(), Failure> {
    let client = context.client()?;
    context.block_on(async {
        let kept_out = client.quarantine().await?;
        let meant: Vec<&Quarantined> =
            kept_out.iter().filter(|one| one.id.to_string().starts_with(id)).collect();
        let [one] = meant[..] else {
            return Err(Failure::usage(format_args!("{id:?} means {} records", meant.len()))
                .hint("`mesh quarantine` shows them"));
        };
        client.release(&one.id).await?;
        context.out.note(format_args!("released: {} {}", one.id.short(), one.what));
        Ok(())
    })
}

/// Says that something is kept out, where people look for what is wrong.
pub fn remark(count: usize) -> Option<String> {
    let what = if count == 1 { "a record is".to_owned() } else { format!("{count} records are") };
    (count > 0)
        .then(|| format!("{what} kept out, since this node ended over it: `mesh quarantine` shows more"))
}
