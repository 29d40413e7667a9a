//! The QUIC endpoints: one a socket, one socket an address that is listened on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::book::canonical;
use crate::identity::Identity;
use crate::legacy::Legacy;
use crate::line::Line;
use crate::link::FIRST_STREAMS;
use crate::tag::{self, Ids, Tag};
use crate::tls::Tls;
use crate::{Limits, StartError, wire};

/// The largest UDP payload that is sent and taken. Ethernet's comes out of the path's MTU discovery (RFC 9000 §14.3) as
/// before; loopback and jumbo frames carry more. The transport hands ten packets at once to the kernel, which takes no
/// more than 65,507 bytes.
const MTU: u16 = 6_550;
/// What is asked of the kernel for packets that wait to be read or sent; it gives at most `net.core.rmem_max`/`wmem_max`.
const SOCKET_BUFFER: usize = 4 << 20;
/// The first guess at a round trip. A first packet that is lost, say because the peer is just starting, is sent again
/// after three of them (RFC 9002 §6.2.2).
const FIRST_RTT: Duration = Duration::from_millis(100);
/// How much may be under way before anything is known of the path (RFC 9002 §7.2 with ten of our largest packets): with
/// less, a single probe of the path's MTU would hold everything else up.
const FIRST_WINDOW: u64 = 10 * MTU as u64;
/// At most one stateless reset in this time: after a restart all peers need one soon.
const RESETS: Duration = Duration::from_millis(1);
/// At least so many first packets may wait for an answer, be it only that their sender is to prove its address: it costs
/// next to nothing, and what arrives together on a busy machine is answered in one go.
const UNANSWERED: usize = 1_024;
/// What one peer, and all together, may send before their handshake is begun.
const WAITING: (u64, u64) = (64 << 10, 8 << 20);

/// All sockets of a node.
pub struct Endpoints {
    all: Vec<(SocketAddr, Endpoint, Arc<Line>)>,
    pub tls: Tls,
    pub transport: Arc<TransportConfig>,
}

impl Endpoints {
    /// Opens the sockets, or takes those of the run before, to serve `protocols`.
    pub async fn bind<'a>(
        identity: Identity,
        listen: &[SocketAddr],
        protocols: impl Iterator<Item = &'a str>,
        limits: &Limits,
        mut legacy: Legacy,
    ) -> Result<Self, StartError> {
        check(listen)?;
        let transport = Arc::new(transport(limits)?);
        let tls = Tls::new(identity);
        let mut server =
            ServerConfig::with_crypto(Arc::new(tls.server(protocols).map_err(StartError::Transport)?));
        // a peer whose address changes under it, as behind a NAT, is followed once it is proven there (RFC 9000 §9)
        server.migration(true).transport_config(Arc::clone(&transport));
        server.max_incoming(limits.handshakes.max(UNANSWERED));
        server.incoming_buffer_size(WAITING.0).incoming_buffer_size_total(WAITING.1);
        let mut sockets = Vec::new();
        for address in listen {
            let failed = |source| StartError::Listen { address: *address, source };
            sockets.push(match legacy.take(*address).await {
                Some(taken) => taken,
                None => (socket(*address).map_err(failed)?, None),
            });
        }
        let others: Vec<Tag> =
            sockets.iter().flat_map(|(_, before)| before).flat_map(|b| b.tags.clone()).collect();
        let tag = tag::other_than(&others).map_err(StartError::Random)?;
        let mut all = Vec::new();
        for (address, (socket, before)) in listen.iter().zip(sockets) {
            let failed = |source| StartError::Listen { address: *address, source };
            let line = Arc::new(Line::new(socket, tag, before).map_err(failed)?);
            let bound = quinn::AsyncUdpSocket::local_addr(&*line).map_err(failed)?;
            all.push((bound, endpoint(*address, bound, tls.identity(), server.clone(), (&line, tag))?, line));
        }
        Ok(Self { all, tls, transport })
    }

    /// The sockets themselves.
    pub fn lines(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.all.iter().map(|(_, _, line)| line)
    }

    /// Where they listen, in the order in which it was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|(address, ..)| *address).collect()
    }

    /// One for each address.
    pub fn each(&self) -> impl Iterator<Item = &Endpoint> {
        self.all.iter().map(|(_, endpoint, _)| endpoint)
    }

    /// The one from which `to` is dialled: the first of its family.
    pub fn towards(&self, to: &SocketAddr) -> Option<&Endpoint> {
        self.all.iter().find(|(from, ..)| from.is_ipv4() == to.is_ipv4()).map(|(_, endpoint, _)| endpoint)
    }

    /// Answers no new peer from now on.
    pub fn stop(&self) {
        self.each().for_each(|endpoint| endpoint.set_server_config(None));
    }

    /// Closes every connection, and waits until the peers were told.
    pub async fn close(&self) {
        for endpoint in self.each() {
            endpoint.close(VarInt::from_u32(wire::CODE_DONE), b"it closes");
        }
        for endpoint in self.each() {
            endpoint.wait_idle().await;
        }
    }
}

/// Whether these addresses can be listened on side by side.
fn check(listen: &[SocketAddr]) -> Result<(), StartError> {
    if listen.is_empty() {
        return Err(StartError::NoAddress);
    }
    for (index, address) in listen.iter().enumerate() {
        let same = |other: &&SocketAddr| canonical(other) == canonical(address) && address.port() != 0;
        if let Some(twice) = listen[..index].iter().find(same) {
            return Err(StartError::Twice(*twice));
        }
    }
    Ok(())
}

fn endpoint(
    address: SocketAddr,
    bound: SocketAddr,
    identity: &Identity,
    server: ServerConfig,
    (line, tag): (&Arc<Line>, Tag),
) -> Result<Endpoint, StartError> {
    let mut config = EndpointConfig::new(Arc::new(identity.reset_key(bound)?));
    config.cid_generator(move || Box::new(Ids(tag))).min_reset_interval(RESETS);
    config.max_udp_payload_size(MTU).map_err(|error| StartError::Transport(error.to_string()))?;
    let line = Arc::clone(line);
    Endpoint::new_with_abstract_socket(config, Some(server), line, Arc::new(TokioRuntime))
        .map_err(|source| StartError::Listen { address, source })
}

fn socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // so that both families can have the same port
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn transport(limits: &Limits) -> Result<TransportConfig, StartError> {
    if limits.keep_alive >= limits.dead {
        return Err(StartError::Limits("keep_alive must be shorter than dead"));
    }
    let dead = IdleTimeout::try_from(limits.dead).map_err(|_| StartError::Limits("dead is too long"))?;
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU);
    let mut cubic = CubicConfig::default();
    cubic.initial_window(FIRST_WINDOW);
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(dead))
        .keep_alive_interval(Some(limits.keep_alive))
        .initial_rtt(FIRST_RTT)
        .congestion_controller_factory(Arc::new(cubic))
        .mtu_discovery_config(Some(mtu))
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams.min(FIRST_STREAMS)))
        // one a protocol, and a greeting
        .max_concurrent_uni_streams(VarInt::from_u32(64))
        .stream_receive_window(VarInt::from_u32(limits.stream_window))
        .receive_window(VarInt::from_u32(limits.connection_window))
        .datagram_receive_buffer_size(Some(256 << 10))
        .datagram_send_buffer_size(256 << 10);
    Ok(config)
}
