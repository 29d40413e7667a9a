//! Joining a mesh with a ticket.

use std::time::Duration;

use fabric::{Authority, Fabric};
use soul::{Answer, KeyStore, Papers, Reason, Request, Roots, Ticket, Welcome, WelcomeError};
use types::{MeshId, Signer as _};

use super::again::Before;
use super::{MemberError, NodeFile, Seed};
use crate::clock::SystemClock;
use crate::identity::{self, MeshFile};
use crate::journal::RedbJournal;
use crate::lock::StateLock;
use crate::network;
use crate::{Paths, StartError};

/// How long the connection to the issuer may take to be wound up.
const GRACE: Duration = Duration::from_millis(200);

/// Why a ticket opened no door.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The issuer said no.
    #[error("join the mesh: {0}")]
    Refused(Reason),
    /// The issuer could not be asked.
    #[error("reach the issuer at {at}: {reason}")]
    Unreachable {
        /// The ticket's addresses.
        at: String,
        /// What was tried last.
        reason: String,
    },
    /// Its answer isn't what the ticket promises.
    #[error(transparent)]
    Welcome(#[from] WelcomeError),
    /// The overlay could not be opened.
    #[error(transparent)]
    Overlay(#[from] hyphae::StartError),
}

/// Redeems a ticket for this machine under `node.name`, and keeps what it gets. A node that the ticket's mesh has
/// removed gets a new key, and keeps its spores and logs.
pub async fn join(paths: &Paths, node: &NodeFile, ticket: &Ticket) -> Result<MeshId, MemberError> {
    paths.claim()?;
    let _lock = StateLock::take(&paths.lock()).map_err(|_| MemberError::Running(paths.state.clone()))?;
    let mesh = Roots::new(*ticket.genesis()).mesh();
    let before = Before::set_aside(paths, node, mesh)?;
    let joined = let_in(paths, node, ticket).await;
    match (before, joined) {
        (Some(before), Err(error)) => {
            before.put_back()?;
            Err(match error {
                // It has the name itself, and is a member still.
                MemberError::Join(JoinError::Refused(Reason::NameTaken)) => {
                    MemberError::Taken { state: paths.state.clone(), mesh }
                }
                error => error,
            })
        }
        (_, joined) => joined,
    }
}

async fn let_in(paths: &Paths, node: &NodeFile, ticket: &Ticket) -> Result<MeshId, MemberError> {
    let own = KeyStore::open(&paths.node_keys())?.ensure(node.name.as_str())?.0;
    let me = own.public_key();
    let request = Request::Join(ticket.redeem(&me, node.name.clone()));
    let welcome = redeem(ticket, own.seed(), &request).await?;
    let now = SystemClock.now();
    let known = Roots::new(*ticket.genesis());
    let (roots, _) = welcome.accept(&known, &me, &node.name, now).map_err(JoinError::from)?;
    let papers = Papers::open(&paths.papers())?;
    papers.keep_roots(&roots)?;
    papers.keep_chain(&welcome.chain)?;
    let mesh = roots.mesh();
    let path = paths.journal();
    let opened = RedbJournal::open(&path).map_err(|source| StartError::State { path, source });
    let (journal, stored) = opened?;
    let authority = Authority { roots: Some(roots), ..Authority::default() };
    let config = fabric::Config { mesh, authority, journal: Some(Box::new(journal)) };
    let (fabric, _) = Fabric::new(config, stored, now)?;
    fabric.join_as(&node.name, &welcome.chain, &own, now)?;
    fabric.close()?;
    let seeds = vec![Seed { key: *ticket.issuer(), addresses: ticket.addresses().to_vec() }];
    NodeFile { seeds, ..node.clone() }.keep(paths)?;
    identity::create(paths, &MeshFile { mesh, operators: Vec::new() })?;
    Ok(mesh)
}

async fn redeem(
    ticket: &Ticket,
    seed: zeroize::Zeroizing<[u8; 32]>,
    request: &Request,
) -> Result<Welcome, JoinError> {
    let overlay = network::errand(seed, "this node is not in the mesh yet").await?;
    let at = || {
        let texts: Vec<String> = ticket.addresses().iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    let unreachable = |reason: String| JoinError::Unreachable { at: at(), reason };
    let learned = overlay.learn(*ticket.issuer(), ticket.addresses());
    let answer = match learned {
        Ok(()) => network::ask(&overlay, *ticket.issuer(), request).await.map_err(unreachable),
        Err(error) => Err(unreachable(error.to_string())),
    };
    // The issuer is told at once; that it acknowledges it changes nothing.
    let _ = tokio::time::timeout(GRACE, overlay.close(Duration::ZERO)).await;
    match answer? {
        Answer::Welcome(welcome) => Ok(*welcome),
        Answer::Refused(reason) => Err(JoinError::Refused(reason)),
    }
}
