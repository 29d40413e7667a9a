//! Where to listen, as people write it: `127.0.0.1:8080`, `[::]:8080`, `localhost:8080`, or `:8080` for everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::str::FromStr;

use serde::Deserialize;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} is not an address to listen on, like 127.0.0.1:8080 or :8080 (everywhere)");
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| refused())?;
            return Ok(Self(SocketAddr::new(everywhere(), port)));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        text.to_socket_addrs().ok().and_then(|mut found| found.next()).map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Both families at once, or IPv4 alone on a machine without IPv6.
fn everywhere() -> IpAddr {
    if UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}
