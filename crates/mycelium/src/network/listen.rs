//! Where others reach this node.

use std::net::{IpAddr, SocketAddr};

use fabric::net::MAX_ADDRESSES;

/// What to tell others, best first: what the operator says, or the addresses of this machine's interfaces for
/// "any"; loopback only when there is nothing else.
pub(crate) fn reachable_at(listening: &[SocketAddr], advertised: &[SocketAddr]) -> Vec<SocketAddr> {
    if !advertised.is_empty() {
        let port = listening.first().map_or(0, SocketAddr::port);
        let with_port = |address: &SocketAddr| {
            SocketAddr::new(address.ip(), if address.port() == 0 { port } else { address.port() })
        };
        return advertised.iter().map(with_port).take(MAX_ADDRESSES).collect();
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let ips: Vec<IpAddr> = interfaces.into_iter().map(|interface| interface.ip()).collect();
    expand(listening, &ips)
}

/// Puts the machine's addresses in place of "any".
fn expand(listening: &[SocketAddr], ips: &[IpAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for address in listening {
        if !address.ip().is_unspecified() {
            found.push(*address);
            continue;
        }
        // A dual-stack socket takes IPv4, too.
        let usable = ips.iter().filter(|ip| address.is_ipv6() || ip.is_ipv4());
        found.extend(usable.map(|ip| SocketAddr::new(*ip, address.port())));
    }
    found.sort_by_key(|address| (rank(address.ip()), *address));
    found.dedup();
    let far = found.iter().filter(|address| rank(address.ip()) < LOOPBACK).count();
    found.truncate(if far > 0 { far.min(MAX_ADDRESSES) } else { MAX_ADDRESSES });
    found
}

/// Of [`rank`]: good for this machine only.
const LOOPBACK: u8 = 2;

fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => LOOPBACK,
        IpAddr::V6(ip) if ip.is_loopback() => LOOPBACK,
        // Its scope can't be told to others.
        IpAddr::V4(ip) if ip.is_link_local() => LOOPBACK + 1,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => LOOPBACK + 1,
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn expanded(listening: &str, machine: &[&str]) -> Vec<String> {
        let listening = [listening.parse().unwrap()];
        expand(&listening, &ips(machine)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn any_address_becomes_those_of_the_machine_best_first() {
        let machine = ["127.0.0.1", "::1", "fe80::1", "fd00::7", "10.0.0.7"];
        assert_eq!(expanded("[::]:7433", &machine), ["10.0.0.7:7433", "[fd00::7]:7433"]);
        assert_eq!(expanded("0.0.0.0:7433", &machine), ["10.0.0.7:7433"]);
        assert_eq!(expanded("10.0.0.9:7433", &machine), ["10.0.0.9:7433"]);
    }

    #[test]
    fn a_machine_without_a_network_tells_its_loopback() {
        assert_eq!(expanded("[::]:7433", &["127.0.0.1", "::1"]), ["127.0.0.1:7433", "[::1]:7433"]);
    }

    #[test]
    fn what_the_operator_says_holds() {
        let told = reachable_at(&["[::]:7433".parse().unwrap()], &["192.0.2.1:0".parse().unwrap()]);
        assert_eq!(told, ["192.0.2.1:7433".parse().unwrap()]);
    }
}
