//! The address book: where peers live, as far as we were told. Pure and bounded.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use types::PublicKey;

use crate::LearnError;

/// Addresses by peer.
#[derive(Debug, Default)]
pub struct Book {
    peers: BTreeMap<PublicKey, Vec<SocketAddr>>,
}

impl Book {
    /// Replaces what is known of `peer`; returns the addresses that it has no more. An error changes nothing.
    pub fn learn(
        &mut self,
        peer: PublicKey,
        addresses: &[SocketAddr],
        most_peers: usize,
        most_addresses: usize,
    ) -> Result<Vec<SocketAddr>, LearnError> {
        if addresses.len() > most_addresses {
            return Err(LearnError::Addresses { peer, given: addresses.len(), most: most_addresses });
        }
        let nowhere = |a: &&SocketAddr| a.port() == 0 || a.ip().is_unspecified() || a.ip().is_multicast();
        if let Some(address) = addresses.iter().find(nowhere) {
            return Err(LearnError::Nowhere { peer, address: *address });
        }
        if addresses.is_empty() {
            return Ok(self.forget(&peer));
        }
        if !self.peers.contains_key(&peer) && self.peers.len() >= most_peers {
            return Err(LearnError::Full { peer, most: most_peers });
        }
        let mut new: Vec<_> = addresses.iter().map(canonical).collect();
        new.sort_unstable();
        new.dedup();
        let old = self.peers.insert(peer, new.clone()).unwrap_or_default();
        Ok(old.into_iter().filter(|address| !new.contains(address)).collect())
    }

    /// Forgets `peer`; returns the addresses it had.
    pub fn forget(&mut self, peer: &PublicKey) -> Vec<SocketAddr> {
        self.peers.remove(peer).unwrap_or_default()
    }

    /// Where `peer` lives; empty if nobody said.
    pub fn addresses(&self, peer: &PublicKey) -> &[SocketAddr] {
        self.peers.get(peer).map_or(&[], Vec::as_slice)
    }
}

/// An IPv4 address written as IPv6 is the IPv4 address.
pub fn canonical(address: &SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
