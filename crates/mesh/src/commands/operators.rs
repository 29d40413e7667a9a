//! `mesh operator`: whose plans are obeyed. The root key says so, nobody else.

use clap::Subcommand;
use fabric::{Kind, Record, RecordName};
use genome::Operator as Said;
use mycelium::api::OperatorStatus;
use types::PublicKey;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::table::Table;

/// Say whose plans are obeyed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Obey plans signed with a key
    Add {
        /// What the operator is called
        name: String,
        /// The public key: what `mesh keys new` prints, or a .pub file
        key: String,
        /// The root key: a name, or a file
        #[arg(long, value_name = "NAME|FILE")]
        root: Option<String>,
    },
    /// List the operators
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Obey an operator no longer; the plans that hold now stay
    Remove {
        /// The operator's name, or public key
        operator: String,
        /// The root key: a name, or a file
        #[arg(long, value_name = "NAME|FILE")]
        root: Option<String>,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Add { name, key, root } => add(context, &name, &key, root.as_deref())?,
        Action::List { json } => list(context, json)?,
        Action::Remove { operator, root } => remove(context, &operator, root.as_deref())?,
    }
    Ok(Code::Ok)
}

fn add(context: &Context, name: &str, key: &str, root: Option<&str>) -> Result<(), Failure> {
    let text = std::fs::read_to_string(key).unwrap_or_else(|_| key.to_owned());
    let public_key = soul::public_key_from_text(&text)
        .map_err(|e| Failure::usage(format_args!("{key:?} is neither a public key nor its file: {e}")))?;
    let said = Said { public_key, name: name.to_owned(), removed: false, keeps: Vec::new() };
    let safe = say(context, root, &said)?;
    context.out.note(format_args!("obeyed from now on: {name} {} ({safe})", public_key.fingerprint()));
    Ok(())
}

fn remove(context: &Context, operator: &str, root: Option<&str>) -> Result<(), Failure> {
    let client = context.client()?;
    let (found, keeps) = context.block_on(async {
        let found = find(client.operators().await?, operator)?;
        let written = client.written_by(&found.public_key).await?;
        Ok((found, written.ids))
    })?;
    let said = Said { public_key: found.public_key, name: found.name.clone(), removed: true, keeps };
    let safe = say(context, root, &said)?;
    context.out.note(format_args!(
        "no longer obeyed: {} {} ({safe}); {} of its records stay in force",
        found.name,
        found.fingerprint,
        said.keeps.len()
    ));
    Ok(())
}

fn say(context: &Context, root: Option<&str>, said: &Said) -> Result<String, Failure> {
    let hand = Operator::root(context, root)?;
    let name = RecordName::of_key(&said.public_key);
    let receipt = context.block_on(hand.say(&Kind::Operator, &name, |at, hand| {
        Ok(Some(Record::operator(hand.mesh(), at.next_generation, said, hand.key())?))
    }))?;
    Ok(receipt.map(|receipt| receipt.safe).unwrap_or_default())
}

fn find(operators: Vec<OperatorStatus>, text: &str) -> Result<OperatorStatus, Failure> {
    let key: Option<PublicKey> = soul::public_key_from_text(text).ok();
    let meant = |operator: &OperatorStatus| {
        !operator.removed && (operator.name == text || Some(operator.public_key) == key)
    };
    let mut found: Vec<OperatorStatus> = operators.into_iter().filter(meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Failure::usage(format_args!("several operators are called {text}"))
            .hint("name the public key: `mesh operator list`")),
        (None, _) => Err(Failure::usage(format_args!("no operator is called {text}"))
            .hint("`mesh operator list` shows them")),
    }
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let operators = context.block_on(async { Ok(client.operators().await?) })?;
    if json {
        return context.out.json(&operators);
    }
    let mut table = Table::new(&["OPERATOR", "FINGERPRINT", ""]);
    for operator in operators {
        let remark = if operator.removed { "removed" } else { "" };
        table.row([operator.name, operator.fingerprint, remark.to_owned()]);
    }
    context.out.line(table.render())
}
