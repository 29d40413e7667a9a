//! Watching: the counters of replicas' groups, and what happens in them, told once.
//!
//! What the keeper has attached is found at the groups themselves, so that whoever watches may come and go. There should
//! be one who watches a machine's groups: of two, each hears a part of the refusals. What nobody heard is counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::ring::Ring;
use super::shape::{self, Counter, Kind, Record, TCP, UDP};
use super::sys::{self, Map, Place};
use super::tracer::{Processes, Tracer};
use super::{Lack, place};
use crate::exit::Exit;

/// How many records are taken at once, so that nobody else waits for long.
const BATCH: usize = 4096;

/// What passed between a group's sockets and others: network-layer bytes, headers included, as this machine's stack
/// handles them (what the card cuts or joins counts as one packet with one header).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// TCP connections that it asked for and was let have.
    pub connects: u64,
    /// TCP connections that others made to it.
    pub accepts: u64,
    /// What was refused to it.
    pub refusals: u64,
    /// Of refusals and connections, what was counted and not told.
    pub untold: u64,
}

/// Something that happened in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// How long ago it was when it was read.
    pub ago: Duration,
    /// The group's number.
    pub group: u64,
    /// The process (as the machine numbers it), if it was one's doing; and what it calls itself.
    pub process: Option<(u32, String)>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A program was executed: its path as it was given, where the kernel says it.
    Exec(Option<PathBuf>),
    /// A process ended: how, where the kernel says it.
    Exit(Option<Exit>),
    /// A connection was asked for, and let through.
    Connect(Protocol, SocketAddr),
    /// A connection was refused.
    RefusedConnect(Protocol, SocketAddr),
    /// A datagram was refused.
    RefusedSend(Protocol, SocketAddr),
    /// A port of its own was refused.
    RefusedBind(Protocol, SocketAddr),
    /// A kind of socket was refused: its type and protocol, as `socket(2)` numbers them.
    RefusedSocket(u16, u64),
    /// A packet to it was dropped: from there, or, where TCP begins a connection, to this port.
    DroppedIn(Protocol, SocketAddr),
    /// A packet of its was dropped, which no call had asked for.
    DroppedOut(Protocol, SocketAddr),
}

/// What carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another, by its number.
    Other(u8),
}

/// A group that is watched.
#[derive(Debug)]
struct Group {
    counts: Map,
    ring: u32,
}

/// A ring of refusals: that of the keeper, and of each keeper before it whose replicas live.
#[derive(Debug)]
struct Source {
    ring: AsyncFd<Ring>,
    wanted: Map,
}

/// The one who watches.
#[derive(Debug)]
pub struct Watch {
    processors: usize,
    groups: BTreeMap<u64, Group>,
    sources: BTreeMap<u32, Source>,
    tracer: Option<(Tracer, AsyncFd<Ring>)>,
    wanted: bool,
}

impl Watch {
    /// Watches nothing yet. Needs a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        let (groups, sources) = (BTreeMap::new(), BTreeMap::new());
        Self { processors: place::processors(), groups, sources, tracer: None, wanted: false }
    }

    /// Sees what processes do in the groups right below this one (an open folder of the v2 hierarchy).
    pub fn trace_below(&mut self, group: BorrowedFd<'_>) -> Result<(), Lack> {
        self.tracer = Some(Tracer::open(group, place::depth(group)?)?);
        Ok(())
    }

    /// Watches a group that programs stand at; its number. An error if there are none.
    pub fn add(&mut self, group: BorrowedFd<'_>) -> Result<u64, Lack> {
        let failed = |error: io::Error| Lack::of_call("look at a group", &error);
        let id = sys::group_id(group).map_err(failed)?;
        let (mut counts, mut ring, mut wanted) = (None, None, None);
        for map in sys::maps_at(group, Place::Connect4).map_err(failed)? {
            let info = map.info().map_err(failed)?;
            if info.is_named(c"mesh_counts") {
                counts = Some(map);
            } else if info.is_named(c"mesh_ring") {
                ring = Some((info.id, map));
            } else if info.is_named(c"mesh_wanted") {
                wanted = Some(map);
            }
        }
        let (Some(counts), Some((ring, map)), Some(wanted)) = (counts, ring, wanted) else {
            return Err(Lack::NotThere);
        };
        if !self.sources.contains_key(&ring) {
            set_wanted(&wanted, self.wanted).map_err(failed)?;
            let opened = Ring::open(map).map_err(failed)?;
            self.sources.insert(ring, Source { ring: opened, wanted });
        }
        self.groups.insert(id, Group { counts, ring });
        Ok(id)
    }

    /// Forgets a group, which may be gone.
    pub fn remove(&mut self, group: u64) {
        if let Some((tracer, _)) = &self.tracer {
            tracer.forget(group);
        }
        if let Some(Group { ring, .. }) = self.groups.remove(&group)
            && !self.groups.values().any(|other| other.ring == ring)
        {
            self.sources.remove(&ring);
        }
    }

    /// Whether connections that are let through are to be told, too. They cost what they are told with.
    pub fn want_connections(&mut self, wanted: bool) -> Result<(), Lack> {
        self.wanted = wanted;
        for source in self.sources.values() {
            set_wanted(&source.wanted, wanted).map_err(|error| Lack::of_call("set a map", &error))?;
        }
        Ok(())
    }

    /// What passed in a group that is watched.
    pub fn traffic(&self, group: u64) -> io::Result<Traffic> {
        let Some(Group { counts, .. }) = self.groups.get(&group) else { return Ok(Traffic::default()) };
        let mut values = vec![0; 8 * Counter::ALL * self.processors];
        counts.get(&group.to_ne_bytes(), &mut values)?;
        let sum = |counter: Counter| {
            let each = values
                .chunks_exact(8 * Counter::ALL)
                .filter_map(|all| all[counter.at() as usize..].first_chunk());
            each.map(|bytes| u64::from_ne_bytes(*bytes)).sum()
        };
        Ok(Traffic {
            bytes_in: sum(Counter::BytesIn),
            packets_in: sum(Counter::PacketsIn),
            bytes_out: sum(Counter::BytesOut),
            packets_out: sum(Counter::PacketsOut),
            connects: sum(Counter::Connects),
            accepts: sum(Counter::Accepts),
            refusals: sum(Counter::Refusals),
            untold: sum(Counter::Untold),
        })
    }

    /// What its processes did; nothing where they aren't traced.
    pub fn processes(&self, group: u64) -> io::Result<Processes> {
        self.tracer.as_ref().map_or(Ok(Processes::default()), |(tracer, _)| tracer.counts(group))
    }

    /// Waits until something has happened, and says what.
    pub async fn next(&mut self) -> Vec<Sighting> {
        poll_fn(|context| {
            let mut seen = Vec::new();
            let traced = self.tracer.iter_mut().map(|(_, ring)| ring);
            for ring in traced.chain(self.sources.values_mut().map(|source| &mut source.ring)) {
                // Told only when something comes after we have looked: so we look first, and again when told.
                take(ring, &mut seen);
                while seen.len() < BATCH
                    && let Poll::Ready(Ok(mut ready)) = ring.poll_read_ready_mut(context)
                {
                    ready.clear_ready();
                    take(ring, &mut seen);
                }
            }
            // Each ring has its own order.
            seen.sort_by_key(|sighting| Reverse(sighting.ago));
            if seen.is_empty() { Poll::Pending } else { Poll::Ready(seen) }
        })
        .await
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

fn take(ring: &mut AsyncFd<Ring>, seen: &mut Vec<Sighting>) {
    ring.get_mut().drain(BATCH, |bytes| seen.extend(shape::decode(bytes).and_then(sighting)));
}

fn set_wanted(map: &Map, wanted: bool) -> io::Result<()> {
    map.set(&0_u32.to_ne_bytes(), &u32::from(wanted).to_ne_bytes())
}

/// A wait status; a dump beside a signal is of no interest here.
fn ended(status: u64) -> Option<Exit> {
    let status = u32::try_from(status).ok()?;
    Some(match status & 0x7f {
        0 => Exit::Code((status >> 8 & 0xff).cast_signed()),
        signal => Exit::Signal(signal.cast_signed()),
    })
}

fn sighting(record: Record) -> Option<Sighting> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::try_from(now).unwrap_or_default();
    let ago = now.saturating_sub(Duration::from_nanos(record.at));
    let protocol = match record.protocol {
        TCP => Protocol::Tcp,
        UDP => Protocol::Udp,
        other => Protocol::Other(other),
    };
    let address = SocketAddr::new(record.address, u16::from_be_bytes(record.port));
    let what = match record.kind {
        Kind::Exec => What::Exec((!record.text.is_empty()).then(|| record.text.into())),
        Kind::Exit => What::Exit(ended(record.more)),
        Kind::Connect => What::Connect(protocol, address),
        Kind::RefusedConnect => What::RefusedConnect(protocol, address),
        Kind::RefusedSend => What::RefusedSend(protocol, address),
        Kind::RefusedBind => What::RefusedBind(protocol, address),
        Kind::RefusedSocket => What::RefusedSocket(u16::from_ne_bytes(record.port), record.more),
        Kind::RefusedIn => What::DroppedIn(protocol, address),
        Kind::RefusedOut => What::DroppedOut(protocol, address),
    };
    let process = (record.pid != 0).then_some((record.pid, record.name));
    Some(Sighting { ago, group: record.group, process, what })
}
