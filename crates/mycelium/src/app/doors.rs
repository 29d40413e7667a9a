//! The doors: where HTTP comes in, opened before anything is served through them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use edge::{Edge, Listen};
use membrane::Keeper;

use crate::config::{Config, StartError};
use crate::{Tls, sockets};

/// What the keeper calls the sockets for workloads.
const WORKLOADS: &str = "edge-workloads";

/// What the edge listens on: for everybody, and (with TLS) plainly for the workloads here.
pub(super) struct Doors {
    public: Vec<Vec<TcpListener>>,
    workloads: Option<Vec<TcpListener>>,
}

impl Doors {
    /// Takes up what a predecessor left, or binds anew; copies stay with the keeper. Nothing is accepted yet.
    pub(super) async fn open(config: &Config, keeper: &Keeper) -> Result<Self, StartError> {
        let workers = config.edge_workers.unwrap_or_else(default_workers);
        let mut public = Vec::new();
        for (number, address) in config.edge.iter().enumerate() {
            public.push(sockets::open(keeper, &public_name(number), *address, workers).await?);
        }
        // A predecessor may have had more.
        let mut number = public.len();
        while sockets::close(keeper, &public_name(number)).await? {
            number += 1;
        }
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let workloads = match config.tls {
            Tls::Off => {
                sockets::close(keeper, WORKLOADS).await?;
                None
            }
            _ => Some(sockets::open(keeper, WORKLOADS, loopback, workers).await?),
        };
        Ok(Self { public, workloads })
    }

    /// The address that workloads are told, and that people of this machine can use.
    pub(super) fn local_address(&self, tls: bool) -> SocketAddr {
        let plain = if tls { None } else { self.workloads.as_ref() };
        let listeners = plain.or(self.public.first()).into_iter().flatten();
        let address = listeners.filter_map(|listener| listener.local_addr().ok()).next();
        reachable(address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
    }

    /// Where people of this machine and others come in.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.public.iter().filter_map(|group| group.first()?.local_addr().ok()).collect()
    }

    /// From now on connections are accepted.
    pub(super) fn serve(self, edge: &Edge) -> Result<(), StartError> {
        for group in self.public {
            if self.workloads.is_some() {
                edge.start_tls(Listen::Adopt(group))?;
            } else {
                edge.start(Listen::Adopt(group))?;
            }
        }
        if let Some(group) = self.workloads {
            edge.start(Listen::Adopt(group))?;
        }
        Ok(())
    }
}

/// What the keeper calls the sockets of one public address.
fn public_name(number: usize) -> String {
    format!("edge-{number}")
}

pub(super) fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An address to connect to for one that is listened on: "any" stands for loopback.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        // A dual-stack socket takes IPv4, too, and everything understands 127.0.0.1.
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
