//! The far end of peers' tunnels: replicas of this process.

use std::net::SocketAddr;
use std::sync::Arc;

use hyphae::Stream;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use types::PublicKey;

use super::places::{Place, Places};
use super::wire::{self, Answer};
use super::{Limits, copy};

/// Where a replica of this process listens.
type Local = Box<dyn Fn(&str) -> Option<SocketAddr> + Send + Sync>;

/// What serves peers' tunnels.
pub(super) struct Here {
    local: Local,
    pub(super) limits: Limits,
    pub(super) places: Arc<Places>,
    phase: watch::Sender<Phase>,
}

/// Whether this node takes tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serves,
    /// It is about to be started anew: tunnels wait.
    Pauses,
    /// They have waited: the overlay closes now.
    Ends,
}

impl Here {
    pub(super) fn new(local: Local, limits: Limits) -> Self {
        Self { local, limits, places: Arc::default(), phase: watch::Sender::new(Phase::Serves) }
    }

    /// Forgets drains of replicas that are gone.
    pub(super) fn forget(&self) {
        self.places.forget(|id| (self.local)(id).is_some());
    }

    /// From now on tunnels wait for the next run of this node.
    pub(super) fn pause(&self) {
        self.phase.send_replace(Phase::Pauses);
    }

    /// Those that wait end, and so their peers know that it is time to dial.
    pub(super) fn end(&self) {
        self.phase.send_replace(Phase::Ends);
    }

    /// Serves one tunnel of `peer` to its end.
    pub(super) async fn serve(&self, peer: PublicKey, mut stream: Stream) {
        let mut phase = self.phase.subscribe();
        if *phase.borrow() != Phase::Serves {
            let _ = stream.write_all(&[Answer::Pausing.byte()]).await;
            let unread = stream.unread();
            tokio::select! {
                _ = phase.wait_for(|phase| *phase == Phase::Ends) => {}
                () = unread => {}
            }
            return;
        }
        let (mut workload, _place) = match self.begin(peer, &mut stream).await {
            Ok(begun) => begun,
            Err(answer) => {
                tracing::debug!(%peer, why = answer.refusal(), "a tunnel was refused");
                // Whoever is gone needs no answer.
                let _ = stream.write_all(&[answer.byte()]).await;
                let _ = stream.shutdown().await;
                return;
            }
        };
        if let Err(error) = copy::copy(&mut stream, &mut workload).await {
            tracing::trace!(%peer, %error, "a tunnel broke");
        }
        // The place goes last: until then the replica has a connection.
        drop((stream, workload));
    }

    /// Connects to the replica that the peer names, and tells it so.
    async fn begin(&self, peer: PublicKey, stream: &mut Stream) -> Result<(TcpStream, Place), Answer> {
        let mut place = self.places.enter(peer, &self.limits).ok_or(Answer::Busy)?;
        let head = timeout(self.limits.head, wire::read_head(stream)).await;
        let id = head.ok().flatten().ok_or(Answer::Garbage)?;
        let address = (self.local)(&id).ok_or(Answer::Unknown)?;
        let answer = place.to(&id)?;
        let connected = timeout(self.limits.connect, TcpStream::connect(address)).await;
        let workload = connected.ok().and_then(Result::ok).ok_or(Answer::Dead)?;
        // It works without, only slower.
        let _ = workload.set_nodelay(true);
        // A peer that is gone is met again as soon as its bytes are asked for.
        let _ = stream.write_all(&[answer.byte()]).await;
        Ok((workload, place))
    }
}
