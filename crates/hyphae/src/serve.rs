//! What a peer sends on a connection: streams, messages, datagrams; each for a protocol that the gate lets it use.

use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, VarInt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::link::Link;
use crate::protocol::Kind;
use crate::shared::Shared;
use crate::wire::{self, DATAGRAM, PART, PING, RETIRE};
use crate::{Stream, message};

/// How long a new stream may take to name its protocol.
const HEAD: Duration = Duration::from_secs(5);
/// The size of a ping.
pub const PING_SIZE: usize = 8;

/// Takes a connection that this node dialled into the table, and serves it in a task of its own.
pub fn adopt(shared: &Arc<Shared>, link: &Arc<Link>) {
    enter(shared, link);
    shared.spawn(run(Arc::clone(shared), Arc::clone(link)));
}

/// Takes a connection into the table. Datagrams that waited for one go out.
pub fn enter(shared: &Shared, link: &Arc<Link>) {
    let mut table = shared.table();
    if table.closed {
        return link.close(wire::CODE_DONE, "closing");
    }
    if link.facts.ours && !table.book.addresses(&link.peer).contains(&link.address()) {
        // the news came while it was dialled
        return link.close(wire::CODE_MOVED, "you announced other addresses");
    }
    let entry = table.peers.entry(link.peer).or_default();
    entry.add(link, shared.me < link.peer, 2 * shared.limits.dial);
    for datagram in std::mem::take(&mut entry.datagrams) {
        // lost like any other datagram if it can't go
        let _ = link.connection.send_datagram(datagram);
    }
}

/// Serves a connection until it ends, then takes it out of the table.
pub async fn run(shared: Arc<Shared>, link: Arc<Link>) {
    let connection = &link.connection;
    loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                let Ok((send, recv)) = stream else { break };
                let stream = Stream::new(send, recv, Arc::clone(&link));
                link.widen(shared.limits.streams);
                shared.spawn_work(stream_of(Arc::clone(&shared), stream));
            }
            stream = connection.accept_uni() => {
                let Ok(recv) = stream else { break };
                shared.spawn(messages_of(Arc::clone(&shared), Arc::clone(&link), recv));
            }
            datagram = connection.read_datagram() => {
                let Ok(datagram) = datagram else { break };
                if let Some(Kind::Datagrams(receive)) = shared.datagrams()
                    && shared.gate.admits(&link.peer, DATAGRAM).is_ok()
                {
                    link.touch();
                    receive(link.peer, datagram);
                }
            }
        }
    }
    connection.closed().await;
    let why = link.why();
    tracing::debug!(peer = %link.peer, why = why.as_deref(), "a connection ended");
    shared.table().remove(&link, why);
}

/// Whether the peer may use `protocol`. If not, the connection ends, so that both logs say why.
fn admits(shared: &Shared, link: &Link, protocol: &str) -> bool {
    let Err(reason) = shared.gate.admits(&link.peer, protocol) else { return true };
    tracing::info!(peer = %link.peer, protocol, %reason, "a connected peer was refused");
    link.close(wire::CODE_REFUSED, &reason);
    false
}

async fn stream_of(shared: Arc<Shared>, mut stream: Stream) {
    let Ok(Some(protocol)) = timeout(HEAD, head(&mut stream)).await else {
        return stream.reject(wire::CODE_GARBAGE);
    };
    let peer = stream.peer();
    if protocol == PING {
        if admits(&shared, stream.link(), PING) {
            echo(stream).await;
        }
        return;
    }
    match shared.kind(&protocol) {
        Some(Kind::Streams(serve)) => {
            if admits(&shared, stream.link(), &protocol) {
                serve(peer, stream).await;
            }
        }
        _ => stream.reject(wire::CODE_NO_PROTOCOL),
    }
}

async fn messages_of(shared: Arc<Shared>, link: Arc<Link>, mut recv: RecvStream) {
    let Ok(Some(protocol)) = timeout(HEAD, head(&mut recv)).await else {
        return link.close(wire::CODE_GARBAGE, "a stream without a protocol");
    };
    if protocol == PART {
        link.retire();
        return link.settled().await;
    }
    if protocol == RETIRE {
        link.retire();
        tracing::debug!(peer = %link.peer, "a peer hands over to its successor");
        return shared.gate.retired(&link.peer);
    }
    match shared.kind(&protocol) {
        Some(Kind::Messages(receive)) => {
            if admits(&shared, &link, &protocol) {
                message::receive(&link, recv, &protocol, receive).await;
            }
        }
        _ => {
            let _ = recv.stop(VarInt::from_u32(wire::CODE_NO_PROTOCOL));
        }
    }
}

/// The protocol that a stream names first; `None` if it names none.
async fn head(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let length = wire::name_length(from.read_u8().await.ok()?)?;
    let mut name = vec![0; length];
    from.read_exact(&mut name).await.ok()?;
    wire::name(&name).map(str::to_owned)
}

/// Answers a ping.
async fn echo(mut stream: Stream) {
    let mut ping = [0; PING_SIZE];
    if timeout(HEAD, stream.read_exact(&mut ping)).await.is_ok_and(|read| read.is_ok()) {
        let _ = stream.write_all(&ping).await;
        let _ = stream.shutdown().await;
    }
}
