//! What a node of a mesh of many has on disk beside its records: its papers, its tickets, whom it met.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fabric::Fabric;
use soul::{Papers, Roots, SecretKey, TicketBook};
use types::PublicKey;

use crate::config::{Config, StartError};
use crate::member::NodeFile;
use crate::network::Desk;

/// The roots of the mesh, as they were when the node came in.
pub(super) fn roots(config: &Config) -> Result<Roots, StartError> {
    let papers = config.paths.papers();
    let roots = Papers::open(&papers)?.roots()?;
    roots.ok_or(StartError::NoPaper { what: "the roots of the mesh", papers })
}

/// What the node is in its mesh, and what it needs to let others in. Its membership is in the records from now on.
pub(super) fn desk(
    config: &Config,
    member: &NodeFile,
    key: Arc<SecretKey>,
    fabric: &Fabric,
) -> Result<Desk, StartError> {
    let folder = config.paths.papers();
    let papers = Papers::open(&folder)?;
    let missing = StartError::NoPaper { what: "the membership of this node", papers: folder.clone() };
    let chain = papers.chain()?.ok_or(missing)?;
    fabric.join_as(&member.name, &chain, &*key, crate::clock::SystemClock.now())?;
    let tickets = TicketBook::open(&folder)?;
    let life = member.membership_life();
    Ok(Desk::new(member.name.clone(), key, papers, tickets, fabric.clone(), life))
}

/// Every other node that is known, and where it said it was; whom this one met first, in any case.
pub(super) fn seeds(member: &NodeFile, fabric: &Fabric) -> BTreeMap<PublicKey, Vec<SocketAddr>> {
    let mut seeds: BTreeMap<_, _> =
        member.seeds.iter().map(|seed| (seed.key, seed.addresses.clone())).collect();
    let (view, authority) = (fabric.view(), fabric.authority());
    for (name, key) in authority.nodes.iter().filter(|(name, _)| **name != member.name) {
        let said = view.nodes.get(name).map(|node| node.addresses.as_slice()).unwrap_or_default();
        let addresses: Vec<SocketAddr> = said.iter().filter_map(|address| address.parse().ok()).collect();
        if !addresses.is_empty() {
            seeds.insert(*key, addresses);
        }
    }
    seeds
}
