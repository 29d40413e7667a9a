//! `mesh ticket`: letting machines in.

use clap::Subcommand;
use types::PublicKey;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::span::Span;
use crate::table::Table;

/// Let machines in.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a ticket for one machine and print it: `mesh node join` there redeems it, once
    New {
        /// How long it holds
        #[arg(long, value_name = "TIME", default_value = "1h")]
        ttl: Span,
    },
    /// List the tickets that this node gave out
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a ticket void; whoever was let in by it stays in
    Remove {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::New { ttl } => new(context, ttl)?,
        Action::List { json } => list(context, json)?,
        Action::Remove { id } => remove(context, &id)?,
    }
    Ok(Code::Ok)
}

fn new(context: &Context, ttl: Span) -> Result<(), Failure> {
    let client = context.client()?;
    let made = context.block_on(async { Ok(client.new_ticket(ttl.0).await?) })?;
    context.out.note(format_args!("for one machine, until {}: mesh node join TICKET", made.expires));
    context.out.line(made.ticket)
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let tickets = context.block_on(async { Ok(client.tickets().await?) })?;
    if json {
        return context.out.json(&tickets);
    }
    let mut table = Table::new(&["TICKET", "HOLDS UNTIL", "USED BY"]);
    for ticket in &tickets {
        let used_by = ticket.used_by.as_ref().map(ToString::to_string).unwrap_or_default();
        table.row([ticket.id.to_string(), ticket.expires.to_string(), used_by]);
    }
    if table.is_empty() {
        context.out.note("no tickets; `mesh ticket new` makes one");
        return Ok(());
    }
    context.out.line(table.render())
}

fn remove(context: &Context, id: &str) -> Result<(), Failure> {
    let client = context.client()?;
    context.block_on(async {
        let tickets = client.tickets().await?;
        let meant: Vec<PublicKey> =
            tickets.iter().map(|ticket| ticket.id).filter(|key| key.to_string().starts_with(id)).collect();
        let [ticket] = meant[..] else {
            return Err(Failure::usage(format_args!("{id:?} means {} tickets", meant.len()))
                .hint("`mesh ticket list` shows them"));
        };
        client.remove_ticket(&ticket).await?;
        context.out.note(format_args!("void: {ticket}"));
        Ok(())
    })
}
