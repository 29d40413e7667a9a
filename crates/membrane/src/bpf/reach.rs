//! Reach: which addresses and ports a replica's sockets get through to, and who gets through to them.
//!
//! Programs stand at the replica's group of the v2 hierarchy. They live there, with its rules and counters, as long as
//! the group does: neither the keeper's death nor its upgrade, nor that of `mesh`, takes them away, and nobody has to
//! clean up. A group that has the programs and no rules yet reaches nothing.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use super::gates::{self, Family, Maps};
use super::packets::{self, Direction};
use super::shape::{self, Counter, Kind, MAX_RULES};
use super::sys::{self, Map, MapKind, Place, ProgramKind};
use super::{Lack, place};

/// Bytes of the ring that refusals are told in: some 3,500.
const RING: u32 = 256 << 10;

/// What a replica may reach. Everything else is refused to it (`EPERM`), counted, and told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Where it may connect to by TCP: a port of one address, or of any.
    pub tcp: Vec<(Option<IpAddr>, u16)>,
    /// Where it may send to by UDP, and hear from.
    pub udp: Vec<(Option<IpAddr>, u16)>,
    /// The TCP ports that are its own: it may listen there, and is connected to there alone.
    pub listen: Vec<u16>,
}

impl Reach {
    /// Whether the rules fit.
    pub(crate) fn check(&self) -> Result<(), Lack> {
        let count = self.tcp.len() + self.udp.len() + self.listen.len();
        if count > MAX_RULES { Err(Lack::TooMany { count, most: MAX_RULES }) } else { Ok(()) }
    }
}

/// The programs, in the kernel. Made once; they stand at as many groups as there are replicas.
#[derive(Debug)]
pub struct Programs {
    maps: Maps,
    all: Vec<(Place, OwnedFd)>,
}

impl Programs {
    /// Has the kernel check them all. Some 10 ms.
    pub fn load() -> Result<Self, Lack> {
        place::old()?;
        let make = |kind, name, key, value: usize, entries| {
            let map = Map::new(kind, name, key, value as u32, entries);
            map.map_err(|error| Lack::of_call("make a map", &error))
        };
        let counts = 8 * Counter::ALL;
        let maps = Maps {
            rules: make(MapKind::CgroupStorage, c"mesh_rules", 8, shape::rules::SIZE, 0)?,
            counts: make(MapKind::CgroupStoragePerCpu, c"mesh_counts", 8, counts, 0)?,
            ring: make(MapKind::Ring, c"mesh_ring", 0, 0, RING)?,
            wanted: make(MapKind::Array, c"mesh_wanted", 4, 4, 1)?,
        };
        let programs = [
            (Place::SocketCreate, gates::making(&maps, c"mesh_socket")),
            (Place::Bind4, gates::binding(&maps, c"mesh_bind4", Family::V4)),
            (Place::Bind6, gates::binding(&maps, c"mesh_bind6", Family::V6)),
            (Place::Connect4, gates::reaching(&maps, c"mesh_connect4", Family::V4, Kind::RefusedConnect)),
            (Place::Connect6, gates::reaching(&maps, c"mesh_connect6", Family::V6, Kind::RefusedConnect)),
            (Place::Send4, gates::reaching(&maps, c"mesh_send4", Family::V4, Kind::RefusedSend)),
            (Place::Send6, gates::reaching(&maps, c"mesh_send6", Family::V6, Kind::RefusedSend)),
            (Place::SocketState, gates::connected(&maps, c"mesh_connected")),
            (Place::Ingress, packets::passing(&maps, c"mesh_in", Direction::In)),
            (Place::Egress, packets::passing(&maps, c"mesh_out", Direction::Out)),
        ];
        let mut all = Vec::new();
        for (place, program) in programs {
            all.push((place, sys::load(kind(place), Some(place), &program).map_err(Lack::Refused)?));
        }
        Ok(Self { maps, all })
    }

    /// Limits the sockets of this group (an open folder of the v2 hierarchy), which has no process yet, to `reach`; without
    /// one, they are only counted. On an error nothing of it is left.
    pub fn attach(&self, reach: Option<&Reach>, group: BorrowedFd<'_>) -> Result<(), Lack> {
        self.stand(group)?;
        self.limit(reach, group).inspect_err(|_| self.detach(group, self.all.len()))
    }

    /// The same without rules yet: its sockets reach nothing.
    pub(crate) fn stand(&self, group: BorrowedFd<'_>) -> Result<(), Lack> {
        for (done, (place, program)) in self.all.iter().enumerate() {
            if let Err(error) = sys::attach(program.as_fd(), group, *place) {
                self.detach(group, done);
                return Err(Lack::of_call("attach a program to a group", &error));
            }
        }
        Ok(())
    }

    /// Gives a group that they stand at its rules.
    pub(crate) fn limit(&self, reach: Option<&Reach>, group: BorrowedFd<'_>) -> Result<(), Lack> {
        reach.map_or(Ok(()), Reach::check)?;
        let failed = |error: io::Error| Lack::of_call("give a group its rules", &error);
        let id = sys::group_id(group).map_err(failed)?;
        self.maps.rules.set(&id.to_ne_bytes(), &shape::encode(reach, id)).map_err(failed)
    }

    /// Takes the first `count` away.
    fn detach(&self, group: BorrowedFd<'_>, count: usize) {
        for (place, program) in self.all.iter().take(count) {
            let _ = sys::detach(program.as_fd(), group, *place);
        }
    }
}

const fn kind(place: Place) -> ProgramKind {
    match place {
        Place::Ingress | Place::Egress => ProgramKind::CgroupPacket,
        Place::SocketCreate => ProgramKind::CgroupSocket,
        Place::SocketState => ProgramKind::SocketState,
        _ => ProgramKind::CgroupAddress,
    }
}

/// Whether reach can be limited on this machine, by trying it on a group of its own; why not.
pub fn possible() -> Result<(), String> {
    let tried = || {
        let programs = Programs::load()?;
        let group = place::Trial::new()?;
        programs.attach(Some(&Reach::default()), group.as_fd())
    };
    tried().map_err(|lack: Lack| lack.to_string())
}
