//! Reaching a peer: one dial for all who want it at once, and its errors in words.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, VarInt};
use tokio::time::{Instant, timeout_at};
use types::PublicKey;

use crate::link::{Link, describe};
use crate::race::race;
use crate::shared::Shared;
use crate::table::{Attempt, Outcome};
use crate::{OpenError, serve, wire};

/// The connection to `peer`: the one there is, or one that is dialled for `protocol` now. Works on any runtime.
pub async fn link(shared: &Arc<Shared>, peer: PublicKey, protocol: &str) -> Outcome {
    loop {
        let attempt = match begin(shared, peer, protocol)? {
            Ok(link) => return Ok(link),
            Err(attempt) => attempt,
        };
        let meant = *attempt.protocol == *protocol;
        match outcome(peer, attempt).await {
            // that was about what somebody else wanted of it
            Err(OpenError::Refused { .. } | OpenError::NoProtocol { .. }) if !meant => {}
            outcome => return outcome,
        }
    }
}

/// What becomes of a dial.
async fn outcome(peer: PublicKey, attempt: Attempt) -> Outcome {
    let mut outcome = attempt.outcome.subscribe();
    // our own handle must go: when the runtime ends, so do the senders, and we are told
    drop(attempt);
    match outcome.wait_for(Option::is_some).await {
        Ok(told) => told.clone().unwrap_or(Err(OpenError::Closed(peer))),
        Err(_) => Err(OpenError::Closed(peer)),
    }
}

/// The open connection, or the dial that is under way from now on.
pub fn begin(
    shared: &Arc<Shared>,
    peer: PublicKey,
    protocol: &str,
) -> Result<Result<Arc<Link>, Attempt>, OpenError> {
    if peer == shared.me {
        return Err(OpenError::Myself(peer));
    }
    let mut table = shared.table();
    if table.closed {
        return Err(OpenError::Closed(peer));
    }
    let known = !table.book.addresses(&peer).is_empty();
    if let Some(entry) = table.peers.get(&peer) {
        if let Some(link) = entry.link() {
            return Ok(Ok(Arc::clone(link)));
        }
        if let Some(attempt) = &entry.attempt {
            return Ok(Err(attempt.clone()));
        }
    }
    if !known {
        return Err(OpenError::NoAddress(peer));
    }
    if table.retired {
        return Err(OpenError::Closed(peer));
    }
    let attempt = Attempt::new(protocol);
    table.peers.entry(peer).or_default().attempt = Some(attempt.clone());
    drop(table);
    shared.spawn(run(Arc::clone(shared), peer, attempt.clone()));
    Ok(Err(attempt))
}

/// Dials, puts the connection into the table and tells those who wait.
async fn run(shared: Arc<Shared>, peer: PublicKey, attempt: Attempt) {
    let dialled = dial(&shared, peer, &attempt).await;
    let outcome = match dialled {
        Ok(link) => {
            serve::adopt(&shared, &link);
            Ok(link)
        }
        Err(error) => Err(error),
    };
    let mut table = shared.table();
    if let Some(entry) = table.peers.get_mut(&peer) {
        entry.attempt = None;
        if let Err(error) = &outcome {
            if entry.link().is_none() {
                entry.error = Some(error.to_string());
                entry.datagrams.clear();
            }
            tracing::debug!(%peer, %error, "a dial failed");
        }
    }
    table.tidy(&peer);
    drop(table);
    attempt.tell(outcome);
}

async fn dial(shared: &Arc<Shared>, peer: PublicKey, attempt: &Attempt) -> Result<Arc<Link>, OpenError> {
    let deadline = Instant::now() + shared.limits.dial;
    let mut moved = attempt.moved.subscribe();
    loop {
        moved.mark_unchanged();
        let addresses = shared.table().book.addresses(&peer).to_vec();
        if addresses.is_empty() {
            return Err(OpenError::NoAddress(peer));
        }
        tokio::select! {
            done = connect(shared, peer, &attempt.protocol, &addresses, deadline) => return done,
            Ok(()) = moved.changed() => {}
        }
    }
}

async fn connect(
    shared: &Arc<Shared>,
    peer: PublicKey,
    protocol: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Arc<Link>, OpenError> {
    let endpoints = shared.endpoints().ok_or(OpenError::Closed(peer))?;
    let connection = race(&endpoints, peer, protocol, addresses, deadline).await?;
    match timeout_at(deadline, greet(&connection, shared.run)).await {
        Ok(Ok(run)) => Ok(Arc::new(Link::new(peer, connection, run, true, shared.epoch))),
        Ok(Err(Some(error))) => Err(explain(peer, protocol, &error)),
        Ok(Err(None)) => {
            connection.close(VarInt::from_u32(wire::CODE_GARBAGE), b"that was no greeting");
            Err(OpenError::Lost { peer, reason: "it did not greet as this version does".to_owned() })
        }
        Err(_) => Err(OpenError::NoAnswer { peer, addresses: vec![connection.remote_address()] }),
    }
}

/// Greets the peer and takes its greeting; `Err(None)`: what came was none.
pub async fn greet(connection: &Connection, run: u64) -> Result<u64, Option<ConnectionError>> {
    let lost = || connection.close_reason();
    let mut hello = connection.open_uni().await.map_err(Some)?;
    hello.write_all(&wire::greeting(run)).await.map_err(|_| lost())?;
    hello.finish().map_err(|_| lost())?;
    let mut answer = connection.accept_uni().await.map_err(Some)?;
    let greeting = answer.read_to_end(wire::GREETING + 1).await.map_err(|_| lost())?;
    match greeting.split_first() {
        Some((0, run)) => run.try_into().map(u64::from_be_bytes).map_err(|_| None),
        _ => Err(None),
    }
}

/// Why a peer that proved its key has closed before it greeted.
fn explain(peer: PublicKey, protocol: &str, error: &ConnectionError) -> OpenError {
    if let ConnectionError::ApplicationClosed(close) = error {
        if close.error_code == VarInt::from_u32(wire::CODE_REFUSED) {
            return OpenError::Refused { peer, reason: wire::printable(&close.reason) };
        }
        if close.error_code == VarInt::from_u32(wire::CODE_NO_PROTOCOL) {
            return OpenError::NoProtocol { peer, protocol: protocol.to_owned() };
        }
    }
    OpenError::Lost { peer, reason: describe(error) }
}
