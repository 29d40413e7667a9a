//! Where this node listens for others, and where they reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use fabric::net::MAX_ADDRESSES;

/// The addresses to open: `[::]` stands for every address of the machine, and a socket of the overlay has one family. A
/// family that the machine doesn't have is left out where it has the other.
pub(crate) fn sockets(listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let has = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    both_families(listen, has(Ipv4Addr::UNSPECIFIED.into()), has(Ipv6Addr::UNSPECIFIED.into()))
}

fn both_families(listen: &[SocketAddr], v4: bool, v6: bool) -> Vec<SocketAddr> {
    let mut open = Vec::new();
    for address in listen {
        if address.ip() != Ipv6Addr::UNSPECIFIED {
            open.push(*address);
            continue;
        }
        let port = address.port();
        let taken = listen.iter().any(|other| other.is_ipv4() && other.port() == port && port != 0);
        if v6 || taken || !v4 {
            open.push(*address);
        }
        if v4 && !taken {
            open.push((Ipv4Addr::UNSPECIFIED, port).into());
        }
    }
    open
}

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
        let usable = ips.iter().filter(|ip| address.is_ipv4() == ip.is_ipv4());
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

    fn all(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn expanded(listening: &[&str], machine: &[&str]) -> Vec<String> {
        expand(&all(listening), &ips(machine)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn any_address_is_one_of_both_families() {
        let opened = |listen: &[&str], v4, v6| both_families(&all(listen), v4, v6);
        assert_eq!(opened(&["[::]:7433"], true, true), all(&["[::]:7433", "0.0.0.0:7433"]));
        assert_eq!(opened(&["[::]:7433"], true, false), all(&["0.0.0.0:7433"]), "IPv6 is switched off");
        assert_eq!(opened(&["[::]:7433"], false, true), all(&["[::]:7433"]));
        assert_eq!(opened(&["[::]:7433"], false, false), all(&["[::]:7433"]), "for the error to name it");
        let apart = ["[::]:7433", "10.0.0.7:7433"];
        assert_eq!(opened(&apart, true, true), all(&apart), "who names both families means that");
        assert_eq!(opened(&["0.0.0.0:7433"], true, true), all(&["0.0.0.0:7433"]));
    }

    #[test]
    fn any_address_becomes_those_of_the_machine_best_first() {
        let machine = ["127.0.0.1", "::1", "fe80::1", "fd00::7", "10.0.0.7"];
        let any = ["[::]:7433", "0.0.0.0:7433"];
        assert_eq!(expanded(&any, &machine), ["10.0.0.7:7433", "[fd00::7]:7433"]);
        assert_eq!(expanded(&["0.0.0.0:7433"], &machine), ["10.0.0.7:7433"]);
        assert_eq!(expanded(&["[::]:7433"], &machine), ["[fd00::7]:7433"]);
        assert_eq!(expanded(&["10.0.0.9:7433"], &machine), ["10.0.0.9:7433"]);
    }

    #[test]
    fn a_machine_without_a_network_tells_its_loopback() {
        let any = ["[::]:7433", "0.0.0.0:7433"];
        assert_eq!(expanded(&any, &["127.0.0.1", "::1"]), ["127.0.0.1:7433", "[::1]:7433"]);
    }

    #[test]
    fn what_the_operator_says_holds() {
        let told = reachable_at(&["[::]:7433".parse().unwrap()], &["192.0.2.1:0".parse().unwrap()]);
        assert_eq!(told, ["192.0.2.1:7433".parse().unwrap()]);
    }
}
