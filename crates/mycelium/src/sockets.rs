//! The listening sockets, the edge's and the admin address's: bound here once, kept by the keeper, taken up by every successor.
//!
//! Because the keeper holds them, a connection that arrives while no `mesh` runs waits instead of being
//! refused, and two `mesh` processes can accept side by side while one hands over to the other.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use edge::Listen;
use membrane::{Keeper, KeeperError};

use crate::config::StartError;

/// What the keeper calls the admin address's socket.
const ADMIN: &str = "admin";
/// What the keeper calls what one overlay leaves to the next.
const OVERLAY: &str = "overlay";

/// The sockets behind `address`: those that a predecessor left under `name`, or new ones for so many workers.
/// Copies are with the keeper when this returns.
pub(crate) async fn open(
    keeper: &Keeper,
    name: &str,
    address: SocketAddr,
    workers: usize,
) -> Result<Vec<TcpListener>, StartError> {
    let kept: Vec<TcpListener> = keeper.sockets(name).await?.into_iter().map(TcpListener::from).collect();
    if !kept.is_empty() && kept.iter().all(|listener| fits(listener, address)) {
        return Ok(kept);
    }
    keeper.keep_sockets(name, Vec::new()).await?;
    drop(kept);
    let listeners = Listen::Bind(address).open(workers)?;
    let copies: std::io::Result<Vec<OwnedFd>> =
        listeners.iter().map(|listener| listener.try_clone().map(OwnedFd::from)).collect();
    let copies = copies.map_err(|source| edge::EdgeError::Listen { addr: address, source })?;
    keeper.keep_sockets(name, copies).await?;
    Ok(listeners)
}

/// Lets go of what a predecessor left under `name`: nobody is to wait there any more. Whether there was anything.
pub(crate) async fn close(keeper: &Keeper, name: &str) -> Result<bool, StartError> {
    let kept = !keeper.sockets(name).await?.is_empty();
    if kept {
        keeper.keep_sockets(name, Vec::new()).await?;
    }
    Ok(kept)
}

/// The socket behind the admin address, in the same way; one that is kept for nothing is closed.
pub(crate) async fn open_admin(
    keeper: &Keeper,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        close(keeper, ADMIN).await?;
        return Ok(None);
    };
    let mut kept = keeper.sockets(ADMIN).await?.into_iter().map(TcpListener::from);
    if let Some(listener) = kept.next().filter(|listener| fits(listener, address)) {
        return Ok(Some(listener));
    }
    keeper.keep_sockets(ADMIN, Vec::new()).await?;
    drop(kept);
    let refused = |source| StartError::Admin { address, source };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    keeper.keep_sockets(ADMIN, vec![listener.try_clone().map_err(refused)?.into()]).await?;
    Ok(Some(listener))
}

/// Leaves what an overlay bequeaths to the next start.
pub(crate) async fn leave_overlay(keeper: &Keeper, left: Vec<OwnedFd>) -> Result<(), KeeperError> {
    keeper.keep_sockets(OVERLAY, left).await
}

/// Takes what an overlay left, so that nobody else has it.
pub(crate) async fn take_overlay(keeper: &Keeper) -> Result<Vec<OwnedFd>, KeeperError> {
    let left = keeper.sockets(OVERLAY).await?;
    keeper.keep_sockets(OVERLAY, Vec::new()).await?;
    Ok(left)
}

/// Whether this is what would be bound now. A port that was left to the system stays what it became.
fn fits(listener: &TcpListener, wanted: SocketAddr) -> bool {
    listener
        .local_addr()
        .is_ok_and(|at| at.ip() == wanted.ip() && (wanted.port() == 0 || at.port() == wanted.port()))
}
