//! Reach: what a workload may connect to besides its node's edge.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The most of them in one plan.
pub(crate) const MAX_REACH: usize = 64;

/// One place: `tcp:5432` (that port anywhere), `tcp:10.0.0.5:5432`, `tcp:[fd00::5]:5432`, `udp:10.0.0.2:53`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Reach {
    /// How.
    pub transport: Transport,
    /// Where; anywhere when absent.
    pub address: Option<IpAddr>,
    /// The port there.
    pub port: u16,
}

/// The protocol below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl FromStr for Reach {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let shown: String = text.chars().take(80).collect();
        let wrong = |why: &str| Invalid::new("reach", format!("{shown:?}: {why}"));
        let (transport, rest) = match text.split_once(':') {
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("udp", rest)) => (Transport::Udp, rest),
            _ => return Err(wrong("write tcp:PORT, tcp:ADDRESS:PORT or udp:ADDRESS:PORT")),
        };
        let (address, port) = match rest.rsplit_once(':') {
            None => (None, rest),
            Some((address, port)) => {
                let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
                let parsed = match bare {
                    Some(bare) => bare.parse().map(IpAddr::V6).ok(),
                    None => address.parse().map(IpAddr::V4).ok(),
                };
                (Some(parsed.ok_or_else(|| wrong("the address is none, like 10.0.0.5 or [fd00::5]"))?), port)
            }
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        let port = port.ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?;
        Ok(Self { transport, address, port })
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.transport {
            Transport::Tcp => "tcp:",
            Transport::Udp => "udp:",
        })?;
        match self.address {
            None => write!(f, "{}", self.port),
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

impl TryFrom<String> for Reach {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Reach> for String {
    fn from(reach: Reach) -> Self {
        reach.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["tcp:5432", "tcp:10.0.0.5:5432", "tcp:[fd00::5]:443", "udp:10.0.0.2:53", "udp:1"] {
            assert_eq!(text.parse::<Reach>().unwrap().to_string(), text);
        }
        let wrong = [
            "",
            "tcp",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "tcp:+1",
            "tcp:a:1",
            "tcp:fd00::5:1",
            "tcp:[10.0.0.1]:1",
            "sctp:1",
            "tcp:db.internal:5432",
            "5432",
            "udp:10.0.0.2:",
            "tcp: 5",
        ];
        for text in wrong {
            assert!(text.parse::<Reach>().is_err(), "{text}");
        }
    }
}
