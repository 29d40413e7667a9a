//! Founding a mesh and joining one.

use std::io::Read as _;

use mycelium::Paths;
use mycelium::member::{self, NodeFile};
use soul::Ticket;
use types::NodeName;
use zeroize::Zeroizing;

use super::Place;
use crate::context::Context;
use crate::failure::Failure;
use crate::span::Span;

/// No ticket is longer.
const MAX_TICKET: u64 = 4096;

/// Founds a mesh.
pub(super) fn init(context: &Context, place: &Place) -> Result<(), Failure> {
    let paths = context.paths()?;
    let node = node_file(place)?;
    let founded = member::found(&paths, &node)?;
    context.out.note(format_args!("founded the mesh {} in {}", founded.mesh, paths.state.display()));
    for (name, fingerprint) in &founded.keys {
        context.out.note(format_args!("  {name:<9} {fingerprint}   {}", meaning(name)));
    }
    context.out.note(format_args!(
        "the keys are in {}; move root.key and recovery.key to a safe place: who has them rules the mesh",
        paths.keys().display()
    ));
    context.out.note(format_args!(
        "run this node ({}) with `{}`",
        node.name,
        line(context, &paths, "node run")
    ));
    Ok(())
}

/// Joins a mesh.
pub(super) fn join(context: &Context, ticket: &str, place: &Place) -> Result<(), Failure> {
    let paths = context.paths()?;
    let node = node_file(place)?;
    let text = if ticket == "-" { from_stdin()? } else { Zeroizing::new(ticket.to_owned()) };
    let ticket = Ticket::parse(text.trim()).map_err(|e| {
        Failure::usage(format_args!("that is no ticket: {e}"))
            .hint("`mesh ticket new` on an issuer makes one")
    })?;
    let mesh = context.block_on(async { Ok(member::join(&paths, &node, &ticket).await?) })?;
    context.out.note(format_args!("joined the mesh {mesh} as {}", node.name));
    context.out.note(format_args!("run this node with `{}`", line(context, &paths, "node run")));
    Ok(())
}

fn node_file(place: &Place) -> Result<NodeFile, Failure> {
    Ok(NodeFile {
        name: place.name.clone().map_or_else(host_name, Ok)?,
        listen: place.listen.iter().map(|listen| listen.0).collect(),
        advertise: place.advertise.iter().map(|listen| listen.0).collect(),
        membership_ms: place.membership_life.map(Span::millis),
        seeds: Vec::new(),
    })
}

/// The first label of the host's name.
fn host_name() -> Result<NodeName, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = host.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    NodeName::new(&label).map_err(|e| {
        Failure::usage(format_args!("the name of this host can't be a node's: {e}"))
            .hint("give one: --name NAME")
    })
}

fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_TICKET).read_to_string(&mut text);
    read.map_err(|e| Failure::new(format_args!("failed to read the ticket from standard input: {e}")))?;
    Ok(text)
}

fn meaning(name: &str) -> &'static str {
    match name {
        member::ROOT => "says who may let nodes in, and who operates",
        member::RECOVERY => "replaces the root when it is lost",
        member::OPERATOR => "signs plans",
        _ => "signs what is built here, trusted in this mesh",
    }
}

/// A command line for this state.
fn line(context: &Context, paths: &Paths, command: &str) -> String {
    match context.state_flag() {
        Some(_) => format!("mesh --state {} {command}", paths.state.display()),
        None => format!("mesh {command}"),
    }
}
