//! `mesh net`: the links between nodes.

use clap::Subcommand;
use mycelium::api::PeerStatus;
use types::NodeName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Look into the links between nodes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the links of this node
    Peers {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say how long a node takes to answer
    Ping {
        /// The node
        node: NodeName,
        /// How often it is asked
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// Say by which way a node is reached, or why it isn't
    Path {
        /// The node
        node: NodeName,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Peers { json } => peers(context, json)?,
        Action::Ping { node, count } => ping(context, &node, count)?,
        Action::Path { node } => path(context, &node)?,
    }
    Ok(Code::Ok)
}

fn peers(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let network = context.block_on(async { Ok(client.network().await?) })?;
    if json {
        return context.out.json(&network);
    }
    let addresses: Vec<String> = network.addresses.iter().map(ToString::to_string).collect();
    context.out.note(format_args!("{} is {}@{}", network.node_id, network.public_key, addresses.join(",")));
    let mut table = Table::new(&["NODE", "STATE", "ADDRESS", "RTT", "SENT", "RECEIVED", "STREAMS", ""]);
    for peer in &network.peers {
        table.row([
            peer.node_id
                .as_ref()
                .map_or_else(|| peer.public_key.fingerprint().to_string(), ToString::to_string),
            peer.state.clone(),
            peer.address.map(|address| address.to_string()).unwrap_or_default(),
            peer.rtt_us.map(time).unwrap_or_default(),
            bytes(peer.sent),
            bytes(peer.received),
            peer.streams.to_string(),
            peer.error.clone().unwrap_or_default(),
        ]);
    }
    if table.is_empty() {
        context.out.note("no links yet: `mesh nodes` shows who is known");
        return Ok(());
    }
    context.out.line(table.render())
}

fn ping(context: &Context, node: &NodeName, count: u32) -> Result<(), Failure> {
    let client = context.client()?;
    context.block_on(async {
        let mut times = Vec::new();
        for _ in 0..count {
            let pong = client.ping(node).await?;
            let at = pong.address.map(|address| format!(" at {address}")).unwrap_or_default();
            context.out.line(format_args!("{node} answers{at} in {}", time(pong.rtt_us)))?;
            times.push(pong.rtt_us);
        }
        times.sort_unstable();
        let (least, most) = (times.first().copied(), times.last().copied());
        if let (Some(least), Some(most), true) = (least, most, count > 1) {
            let median = times[times.len() / 2];
            context.out.note(format_args!(
                "least {}, median {}, most {}",
                time(least),
                time(median),
                time(most)
            ));
        }
        Ok(())
    })
}

fn path(context: &Context, node: &NodeName) -> Result<(), Failure> {
    let client = context.client()?;
    context.block_on(async {
        let reached = client.ping(node).await;
        let network = client.network().await?;
        let peer = network.peers.into_iter().find(|peer| peer.node_id.as_ref() == Some(node));
        let nodes = client.nodes().await?;
        let said = nodes.into_iter().find(|one| one.node_id == *node);
        let told = said.map(|node| node.addresses.join(", ")).unwrap_or_default();
        context.out.line(format_args!("from        {}", network.node_id))?;
        context.out.line(format_args!("to          {node}"))?;
        context.out.line(format_args!("announced   {}", if told.is_empty() { "-" } else { &told }))?;
        if let Some(peer) = &peer {
            shown(context, peer)?;
        }
        reached.map(drop).map_err(Failure::from)
    })
}

fn shown(context: &Context, peer: &PeerStatus) -> Result<(), Failure> {
    let address = peer.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    context.out.line(format_args!("used        {address}, direct and encrypted (QUIC, TLS 1.3)"))?;
    if let Some(rtt) = peer.rtt_us {
        context.out.line(format_args!("round trip  {}", time(rtt)))?;
    }
    context.out.line(format_args!(
        "bytes       {} sent, {} received",
        bytes(peer.sent),
        bytes(peer.received)
    ))?;
    if let Some(error) = &peer.error {
        context.out.line(format_args!("last error  {error}"))?;
    }
    Ok(())
}

fn time(micros: u64) -> String {
    if micros < 1_000 { format!("{micros} us") } else { format!("{:.1} ms", micros as f64 / 1e3) }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
