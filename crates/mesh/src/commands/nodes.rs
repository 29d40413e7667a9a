//! `mesh nodes`: every node of the mesh.

use mycelium::api::MemberStatus;

use super::quarantine;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Show every node of the mesh.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let (nodes, kept_out) =
        context.block_on(async { Ok((client.nodes().await?, client.quarantine().await?)) })?;
    if let Some(remark) = quarantine::remark(kept_out.len()) {
        context.out.warn(remark);
    }
    if args.json {
        context.out.json(&nodes)?;
        return Ok(Code::Ok);
    }
    let mut table = Table::new(&["NODE", "STATE", "REPLICAS", "ADDRESSES", "VERSION", "MEMBER UNTIL", ""]);
    for node in &nodes {
        table.row([
            node.node_id.to_string(),
            node.state.clone(),
            node.replicas.to_string(),
            node.addresses.join(","),
            node.version.clone(),
            node.member_until.map(|until| until.to_string()).unwrap_or_default(),
            remarks(node),
        ]);
    }
    context.out.line(table.render())?;
    Ok(Code::Ok)
}

/// What is particular about a node.
fn remarks(node: &MemberStatus) -> String {
    let said = [(node.me, "this node"), (node.issuer, "issuer"), (node.drained, "drained")];
    let said: Vec<&str> = said.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    said.join(", ")
}
