//! Finding a peer at one of several addresses: one after the other, without waiting long for any (after RFC 8305).
//!
//! Only who proves the peer's key is the peer. An address where somebody else answers is passed over, and named in the
//! error if the peer is nowhere.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError};
use tokio::time::{Instant, sleep, sleep_until};
use types::PublicKey;

use crate::OpenError;
use crate::endpoint::Endpoints;
use crate::link::describe;

/// The longest that an address is waited for before the next one is tried beside it.
const PATIENCE: Duration = Duration::from_millis(100);

/// TLS's alert for "I speak none of these" (RFC 7301 §3.2), as QUIC reports it (RFC 9001 §4.8).
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

/// Why the peer is not at an address; `None`: nothing came back.
type Miss = (SocketAddr, Option<String>);

/// The connection to `peer` that is ready first. The others are given up.
pub async fn race(
    endpoints: &Endpoints,
    peer: PublicKey,
    protocol: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Connection, OpenError> {
    let mut missed = Vec::new();
    let mut next = addresses.iter();
    let mut under_way = FuturesUnordered::new();
    // the last one has at least half of the time
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = PATIENCE.min(left / 2 / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX));
    loop {
        match next.next() {
            Some(address) => under_way.push(one(endpoints, peer, protocol, *address)),
            None if under_way.is_empty() => return Err(nowhere(peer, addresses, &missed)),
            None => {}
        }
        tokio::select! {
            Some(done) = under_way.next() => match done {
                Ok(connection) => return Ok(connection),
                Err(miss) => missed.push(miss),
            },
            () = sleep(patience), if next.len() > 0 => {}
            () = sleep_until(deadline) => return Err(nowhere(peer, addresses, &missed)),
        }
    }
}

async fn one(
    endpoints: &Endpoints,
    peer: PublicKey,
    protocol: &str,
    address: SocketAddr,
) -> Result<Connection, Miss> {
    let miss = |why: String| (address, Some(why));
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let from = endpoints.towards(&address);
    let from = from.ok_or_else(|| miss(format!("{address}: this node listens on no {family} address")))?;
    let dialled = endpoints.tls.dial(from, &endpoints.transport, peer, address, protocol);
    let (connecting, dialled) = dialled.map_err(|why| miss(format!("{address}: {why}")))?;
    let error = match connecting.await {
        Ok(connection) => return Ok(connection),
        Err(ConnectionError::TimedOut) => return Err((address, None)),
        Err(error) => error,
    };
    Err(miss(match (dialled.other.get(), error) {
        (Some(other), _) => format!("{address} answers as {other}"),
        (None, ConnectionError::ConnectionClosed(close))
            if u64::from(close.error_code) == NO_APPLICATION_PROTOCOL =>
        {
            format!("{address} speaks another version of this protocol")
        }
        (None, error) => format!("{address}: {}", describe(&error)),
    }))
}

/// The error when all is tried, or time is up: an address about which nothing is known was silent.
fn nowhere(peer: PublicKey, addresses: &[SocketAddr], missed: &[Miss]) -> OpenError {
    let mut reasons: Vec<_> = missed.iter().filter_map(|(_, why)| why.clone()).collect();
    if reasons.is_empty() {
        return OpenError::NoAnswer { peer, addresses: addresses.to_vec() };
    }
    let told = |address: &&SocketAddr| missed.iter().any(|(at, why)| at == *address && why.is_some());
    let silent: Vec<_> = addresses.iter().filter(|a| !told(a)).map(SocketAddr::to_string).collect();
    if !silent.is_empty() {
        reasons.push(format!("no answer from {}", silent.join(", ")));
    }
    OpenError::Lost { peer, reason: reasons.join("; ") }
}
