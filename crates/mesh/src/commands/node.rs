//! `mesh node`: this machine as a node of a mesh of many, and what operators say of nodes.

mod make;
mod order;
mod unit;

use clap::Subcommand;
use mycelium::member::NodeFile;
use types::NodeName;

use super::run::{self, Serving};
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::listen::Listen;
use crate::span::Span;

/// Make this machine a node of a mesh of many, run it, and say what nodes are for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Found a mesh: this machine is its first node, and lets others in
    Init(Place),
    /// Join a mesh with a ticket from `mesh ticket new`
    Join {
        /// The ticket; `-` reads it from standard input
        ticket: String,
        #[command(flatten)]
        place: Place,
    },
    /// Run this node in the foreground
    Run(Box<Serving>),
    /// Print a systemd unit that runs this node; restarting it leaves the workloads alone
    Unit {
        /// Where HTTP comes in, as for `mesh node run`; may be given more than once
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        edge: Vec<Listen>,
    },
    /// Say which nodes may let others in
    Issuer {
        #[command(subcommand)]
        action: Issuer,
    },
    /// Move a node's work elsewhere, and give it no more
    Drain(Named),
    /// Give a node work again
    Undrain(Named),
    /// Shut a node out for good: its key is worth nothing any more
    Remove {
        #[command(flatten)]
        node: Named,
        /// For whoever wonders later
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
enum Issuer {
    /// Let a node hand out tickets and renew memberships
    Add {
        /// The node
        node: NodeName,
        /// The root key: a name, or a file
        #[arg(long, value_name = "NAME|FILE")]
        root: Option<String>,
    },
}

/// What the node is called, and where it is.
#[derive(Debug, clap::Args)]
struct Place {
    /// What the node is called [default: the name of the host]
    #[arg(long)]
    name: Option<NodeName>,
    /// Where other nodes come in (UDP); may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:7433")]
    listen: Vec<Listen>,
    /// What other nodes are told, instead of the addresses found on this machine; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    advertise: Vec<Listen>,
    /// How long the memberships hold that this node signs, if it lets others in [default: 1day]
    #[arg(long, value_name = "TIME")]
    membership_life: Option<Span>,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The node
    node: NodeName,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE")]
    operator: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Init(place) => make::init(context, &place)?,
        Action::Join { ticket, place } => make::join(context, &ticket, &place)?,
        Action::Run(serving) => return serve(context, *serving),
        Action::Unit { edge } => unit::print(context, &edge)?,
        Action::Issuer { action: Issuer::Add { node, root } } => {
            order::add_issuer(context, &node, root.as_deref())?;
        }
        Action::Drain(named) => order::drain(context, &named, true)?,
        Action::Undrain(named) => order::drain(context, &named, false)?,
        Action::Remove { node, reason } => order::remove(context, &node, &reason)?,
    }
    Ok(Code::Ok)
}

fn serve(context: &Context, serving: Serving) -> Result<Code, Failure> {
    serving.start_log(context)?;
    let node = NodeFile::load(&context.paths()?)?.ok_or_else(|| {
        Failure::usage("this machine is no node of a mesh of many")
            .hint("`mesh node init` founds one, `mesh node join TICKET` joins one")
    })?;
    let config = serving.configure(context, 1, Some(node))?;
    run::serve(config, serving, None)
}

impl Args {
    /// How the node serves, if this runs it.
    pub fn into_serving(self) -> Option<Serving> {
        match self.action {
            Action::Run(serving) => Some(*serving),
            _ => None,
        }
    }
}
