//! `mesh root`: the key that says who may let nodes in and who operates, and its successor when it is lost.

use clap::Subcommand;
use fabric::Record;
use genome::{Issuer, RootChange};
use mycelium::api::RootsAt;
use soul::{Certificate, ISSUER_LIFE, KeyStore, Roots, SecretKey, Succession};
use types::Signer as _;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator;
use crate::publisher::now;

/// Show the mesh's root, and replace it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which key is the root, and which one replaces it
    Show,
    /// Replace a lost or stolen root key: signed with the recovery key, obeyed everywhere
    Replace {
        /// The new root key, made if there is none of that name
        #[arg(long, value_name = "NAME", default_value = "root-2")]
        root: String,
        /// The recovery key: a name, or a file
        #[arg(long, value_name = "NAME|FILE", default_value = "recovery")]
        recovery: String,
        /// Drop the operators and issuers that the old root named: it was stolen, not lost. They have to be named anew
        #[arg(long)]
        stolen: bool,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Show => show(context)?,
        Action::Replace { root, recovery, stolen } => replace(context, &root, &recovery, stolen)?,
    }
    Ok(Code::Ok)
}

fn show(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let roots = parse(&context.block_on(async { Ok(client.roots().await?) })?)?;
    context.out.line(format_args!(
        "mesh      {}\nroot      {}\nrecovery  {}\nreplaced  {} times",
        roots.mesh(),
        roots.root().fingerprint(),
        roots.recovery().fingerprint(),
        roots.generation()
    ))
}

fn replace(context: &Context, root: &str, recovery: &str, stolen: bool) -> Result<(), Failure> {
    let paths = context.paths()?;
    let (root, created) = KeyStore::open(&paths.keys())?.ensure(root)?;
    if created {
        context.out.note(format_args!("created the root key {}", root.fingerprint()));
    }
    let recovery = operator::load(&paths, recovery)?;
    let client = context.client()?;
    context.block_on(async {
        let at = client.roots().await?;
        let mut roots = parse(&at)?;
        let succession = Succession::sign(&roots, root.public_key(), roots.recovery(), &recovery)?;
        roots.apply(&succession).map_err(|e| Failure::new(format_args!("the mesh would not obey: {e}")))?;
        let keeps = if stolen { Vec::new() } else { at.said.clone() };
        let successions = roots.successions().iter().map(Succession::to_pem).collect();
        let change = RootChange { successions, keeps };
        let record = Record::root(roots.mesh(), at.next_generation, &change, &root)?;
        let receipt = client.submit(record.encode()).await?;
        context.out.note(format_args!("{} is the root of this mesh ({})", root.fingerprint(), receipt.safe));
        if !stolen {
            reissue(context, &client, &roots, &root, &at).await?;
        }
        Ok(())
    })
}

/// Issuers whose certificates the old root signed could let nobody in any more: each gets a new one.
async fn reissue(
    context: &Context,
    client: &mycelium::client::Client,
    roots: &Roots,
    root: &SecretKey,
    at: &RootsAt,
) -> Result<(), Failure> {
    let nodes = client.nodes().await?;
    for name in &at.issuers {
        let Some(key) = nodes.iter().find(|node| node.node_id == *name).and_then(|node| node.public_key)
        else {
            context.out.warn(format_args!("{name} is no member any more: it lets nobody in"));
            continue;
        };
        let certificate = Certificate::for_issuer(roots.mesh(), key, root, now(), ISSUER_LIFE)?;
        let issuer = Issuer { node_id: name.clone(), public_key: key, certificate: certificate.to_pem() };
        let held = client.record(&fabric::Kind::Issuer, &fabric::RecordName::of_key(&key)).await?;
        let record = Record::issuer(roots.mesh(), held.next_generation, &issuer, root)?;
        client.submit(record.encode()).await?;
        context.out.note(format_args!("{name} lets nodes in for the new root"));
    }
    Ok(())
}

fn parse(at: &RootsAt) -> Result<Roots, Failure> {
    Roots::from_pem(&at.roots)
        .map_err(|e| Failure::new(format_args!("failed to understand the mesh's answer: {e}")))
}
