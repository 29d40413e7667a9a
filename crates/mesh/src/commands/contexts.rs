//! `mesh context`: names for meshes elsewhere, so that `--context NAME` speaks to them from a machine that is no node.

use clap::Subcommand;

use crate::context::Context;
use crate::elsewhere::{self, Elsewhere, Node};
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator;
use crate::table::Table;

/// Name meshes elsewhere, for --context.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remember a mesh by one or more of its nodes; one of them is asked at once
    Add {
        /// What to call it
        name: String,
        /// A node, as `mesh net peers` there says it: KEY@ADDRESS,…; may be given more than once
        #[arg(long, value_name = "KEY@ADDRESS", required = true)]
        node: Vec<Node>,
        /// The key that the mesh knows you by (`mesh operator add` there): a name, or a file
        #[arg(long, value_name = "NAME|FILE", default_value = operator::KEY)]
        operator: String,
    },
    /// List the meshes that are named here
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a mesh
    Remove {
        /// Its name
        name: String,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let paths = context.paths()?;
    let mut all = elsewhere::load(&paths)?;
    match args.action {
        Action::Add { name, node, operator } => {
            let mut added = Elsewhere { mesh: types::MeshId::from_bytes([0; 32]), nodes: node, operator };
            let client = mycelium::client::Client::remote(added.remote(&paths)?);
            let status = context.block_on(async { Ok(client.status().await?) })?;
            added.mesh = serde_json::from_value(status.mesh.clone().into())
                .map_err(|e| Failure::new(format_args!("failed to understand the mesh's answer: {e}")))?;
            context
                .out
                .note(format_args!("{name} is the mesh {}: mesh --context {name} status", status.mesh));
            all.insert(name, added);
            elsewhere::keep(&paths, &all)?;
        }
        Action::List { json: true } => context.out.json(&all)?,
        Action::List { json: false } => {
            let mut table = Table::new(&["NAME", "MESH", "KEY", "NODES"]);
            for (name, one) in all {
                let nodes: Vec<String> =
                    one.nodes.iter().flat_map(|node| &node.addresses).map(ToString::to_string).collect();
                table.row([name, one.mesh.to_string(), one.operator, nodes.join(",")]);
            }
            if table.is_empty() {
                context.out.note("no mesh elsewhere is named here; `mesh context add` names one");
                return Ok(Code::Ok);
            }
            context.out.line(table.render())?;
        }
        Action::Remove { name } => {
            if all.remove(&name).is_none() {
                return Err(Failure::usage(format_args!("no mesh elsewhere is called {name:?}")));
            }
            elsewhere::keep(&paths, &all)?;
            context.out.note(format_args!("forgotten: {name}"));
        }
    }
    Ok(Code::Ok)
}
