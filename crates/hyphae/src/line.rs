//! Lines: a UDP socket that two runs of a node share while the one hands over to the other.
//!
//! ```text
//!  peers ══▶ socket ──▶ successor: reads all, keeps what is for its connections and what begins new ones
//!    ▲         ▲            │ relay: packets that name a connection of the run before
//!    ╚═════════╩──────── run before: reads the relay alone, sends by the same socket, until its streams have ended
//! ```
//! So a connection lives on to the end of what it carries, and the port is never without somebody who answers. A
//! successor that dies leaves the socket to the run before.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::relay::{self, Relay};
use crate::tag::{self, Tag};

/// How long the run before may take to answer: longer than it waits for its peers. One that is gone is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket of an endpoint.
pub struct Line {
    udp: Arc<dyn AsyncUdpSocket>,
    /// The same socket, for a successor.
    copy: std::net::UdpSocket,
    tag: Tag,
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    /// The run before, while it lives.
    before: Option<Before>,
    /// The successor, while it lives.
    after: Option<After>,
    /// Who reads, to be told of a successor.
    reader: Option<Waker>,
}

/// The run before this one.
pub struct Before {
    relay: Arc<Relay>,
    pub tags: Vec<Tag>,
}

struct After {
    relay: Arc<Relay>,
    /// Whether it reads the socket now, and this run only what it passes on.
    has_begun: bool,
    begun: CancellationToken,
    _gone: DropGuard,
    buffer: Vec<u8>,
}

/// What a successor gets, and how it is talked to.
pub struct Bequest {
    left: [OwnedFd; 2],
    heir: Heir,
}

/// A successor that may come.
pub struct Heir {
    begun: CancellationToken,
    gone: CancellationToken,
    after: Arc<Relay>,
}

impl Bequest {
    /// What to hand over, and whom to await.
    pub fn split(self) -> ([OwnedFd; 2], Heir) {
        (self.left, self.heir)
    }
}

impl Heir {
    /// Waits until it reads the socket; false if it never will.
    pub async fn comes(&self) -> bool {
        tokio::select! {
            biased;
            () = self.begun.cancelled() => true,
            () = self.gone.cancelled() => false,
        }
    }

    /// Tells the successor that all peers know of it.
    pub fn told(&self) {
        // One that is gone needs to know nothing.
        let _ = self.after.say(&[relay::TOLD]);
    }
}

impl Before {
    /// Asks the run before to leave the socket alone; `None` if it is gone.
    pub async fn begin(end: OwnedFd) -> Option<Self> {
        let relay = Arc::new(Relay::adopt(end).ok()?);
        let asking = async {
            let tags = relay::read_tags(&relay.hear(relay::TAGS).await?);
            relay.say(&[relay::BEGIN])?;
            relay.hear(relay::BEGUN).await?;
            io::Result::Ok(tags)
        };
        let tags = timeout(PATIENCE, asking).await.ok()?.ok()?;
        Some(Self { relay, tags })
    }
}

impl Line {
    /// Over a socket whose packets for `before` are passed on.
    pub fn new(socket: std::net::UdpSocket, tag: Tag, before: Option<Before>) -> io::Result<Self> {
        let copy = socket.try_clone()?;
        let udp = TokioRuntime.wrap_udp_socket(socket)?;
        let ends = Mutex::new(Ends { before, ..Ends::default() });
        Ok(Self { udp, copy, tag, ends })
    }

    /// Waits until the peers of the run before know that they are to dial this one.
    pub async fn peers_are_told(&self) {
        let before = self.ends().before.as_ref().map(|before| Arc::clone(&before.relay));
        if let Some(before) = before
            && timeout(PATIENCE, before.hear(relay::TOLD)).await.is_err()
        {
            tracing::warn!("the run before this one did not say that it told its peers");
        }
    }

    /// Prepares for a successor; nothing changes until it [begins](Before::begin). Another one, before it, is forgotten.
    pub fn bequeath(&self) -> io::Result<Bequest> {
        let (mine, other) = Relay::pair()?;
        let (after, begun, gone) = (Arc::new(mine), CancellationToken::new(), CancellationToken::new());
        let mut ends = self.ends();
        let older = ends.before.iter().flat_map(|before| before.tags.iter().copied());
        after.say(&relay::tags([self.tag].into_iter().chain(older)))?;
        let (buffer, guard) = (vec![0; relay::LARGEST], gone.clone().drop_guard());
        ends.after = Some(After {
            relay: Arc::clone(&after),
            has_begun: false,
            begun: begun.clone(),
            _gone: guard,
            buffer,
        });
        if let Some(reader) = ends.reader.take() {
            reader.wake();
        }
        Ok(Bequest { left: [self.copy.try_clone()?.into(), other], heir: Heir { begun, gone, after } })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ends {
    /// What the successor passes on; `None` while the socket is this run's to read.
    fn poll_after(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
        meta: &mut RecvMeta,
    ) -> Option<Poll<io::Result<usize>>> {
        let after = self.after.as_mut()?;
        loop {
            match after.relay.poll_hear(cx, &mut after.buffer) {
                Poll::Pending => return after.has_begun.then_some(Poll::Pending),
                Poll::Ready(Ok(_)) if after.buffer[0] == relay::BEGIN => {
                    after.has_begun = true;
                    // If it is gone, that is seen next.
                    let _ = after.relay.say(&[relay::BEGUN]);
                    after.begun.cancel();
                }
                Poll::Ready(Ok(read)) => {
                    let Some((came, packets)) = relay::read_packets(&after.buffer[..read]) else { continue };
                    let Some(room) = into.get_mut(..packets.len()) else { continue };
                    room.copy_from_slice(packets);
                    *meta = came;
                    return Some(Poll::Ready(Ok(1)));
                }
                Poll::Ready(Err(_)) => {
                    self.after = None;
                    return None;
                }
            }
        }
    }

    /// Passes on what is for the run before.
    fn pass_on(&mut self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) {
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(before) = &self.before else { return };
            let packets = tag::divide(buffer, meta, &before.tags);
            if packets.is_empty() {
                continue;
            }
            match before.relay.say(&[relay::header(meta), packets].concat()) {
                // Lost like any other packet: it is late with what it got already.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.before = None,
                Ok(()) => {}
            }
        }
    }
}

impl AsyncUdpSocket for Line {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.udp).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.udp.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut ends = self.ends();
        let passed = match (buffers.first_mut(), metas.first_mut()) {
            (Some(buffer), Some(meta)) => ends.poll_after(cx, buffer, meta),
            _ => None,
        };
        if ends.after.is_none() && !ends.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            ends.reader = Some(cx.waker().clone());
        }
        let came = match passed {
            Some(passed) => passed,
            None => self.udp.poll_recv(cx, buffers, metas),
        };
        if let Poll::Ready(Ok(count)) = came
            && ends.before.is_some()
        {
            ends.pass_on(&mut buffers[..count], &mut metas[..count]);
        }
        came
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.udp.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.udp.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.udp.may_fragment()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({:?})", self.udp)
    }
}
