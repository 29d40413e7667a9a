//! Who may vouch for publishers' keys, as an operator signs it for every node of the mesh.

use std::path::PathBuf;

use clap::Subcommand;
use fabric::{Kind, Record, RecordName};
use genome::Identity;
use types::AppName;

use crate::context::Context;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::table::Table;
use crate::vouch;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Trust every publisher whose .pub file this identity signed, and whose spores carry the bundle
    Add {
        /// What it is called here
        name: AppName,
        /// The subject of its certificates, exactly: an e-mail address, or the URI of a workflow
        #[arg(long, value_name = "NAME")]
        identity: String,
        /// Who knows it by that name, exactly: the identity provider's URL
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// Whose certificates and logs are believed: a trusted_root.json
        #[arg(long, value_name = "FILE")]
        trust_root: PathBuf,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
    /// List them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust it no longer; what runs goes on until it is replaced
    Remove {
        /// What it is called
        name: AppName,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
}

pub(super) fn run(context: &Context, action: Action) -> Result<(), Failure> {
    match action {
        Action::Add { name, identity, issuer, trust_root, operator } => {
            // One that can't be used would trust nobody, and nobody would know why.
            vouch::root(&trust_root)?;
            let text = vouch::read(&trust_root, lichen::MAX_ROOT_BYTES)?;
            let trusted_root = compact(&text)?;
            add(context, &Identity { name, identity, issuer, trusted_root }, operator.as_deref())
        }
        Action::List { json } => list(context, json),
        Action::Remove { name, operator } => {
            let operator = Operator::open(context, operator.as_deref())?;
            let said = context.block_on(operator.unsay(Kind::Identity, &RecordName::of_app(&name)))?;
            context.out.note(match said {
                Some(receipt) => format!("may no longer vouch for publishers: {name} ({})", receipt.safe),
                None => format!("may not vouch for publishers: {name}"),
            });
            Ok(())
        }
    }
}

/// The same JSON without what is there for people's eyes: it goes to every node.
fn compact(text: &[u8]) -> Result<String, Failure> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(Failure::usage)?;
    Ok(value.to_string())
}

fn add(context: &Context, identity: &Identity, key: Option<&str>) -> Result<(), Failure> {
    identity.validate().map_err(Failure::usage)?;
    let operator = Operator::open(context, key)?;
    let said = context.block_on(operator.say(
        &Kind::Identity,
        &RecordName::of_app(&identity.name),
        |at, hand| {
            let held =
                at.value.as_ref().and_then(|value| serde_json::from_value::<Identity>(value.clone()).ok());
            if held.as_ref() == Some(identity) {
                return Ok(None);
            }
            Ok(Some(Record::identity(hand.mesh(), at.next_generation, identity, hand.key())?))
        },
    ))?;
    let Identity { name, identity, .. } = identity;
    context.out.note(match said {
        Some(receipt) => format!("may vouch for publishers: {name}, {identity} ({})", receipt.safe),
        None => format!("may vouch for publishers already: {name}, {identity}"),
    });
    Ok(())
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let held = context.block_on(async { Ok(client.identities().await?) })?;
    if json {
        return context.out.json(&held);
    }
    let mut table = Table::new(&["NAME", "IDENTITY", "ISSUER", "SIGNED BY"]);
    for of in held {
        table.row([of.name.to_string(), of.identity, of.issuer, of.writer]);
    }
    if table.is_empty() {
        context.out.note("nobody may vouch for publishers");
        return Ok(());
    }
    context.out.line(table.render())
}
