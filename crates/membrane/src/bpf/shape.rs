//! What programs in the kernel and we have in common: the values of their maps, and the records that they tell.

use std::net::{IpAddr, Ipv6Addr};

use super::reach::Reach;

/// How many destinations and ports a reach may name, a plan's 64 among them: the programs look at each.
pub(super) const MAX_RULES: usize = 72;

/// The value of the map of rules, one a group. All zeros allow nothing.
pub(super) mod rules {
    use super::MAX_RULES;

    /// 1: nothing is refused.
    pub(in crate::bpf) const OPEN: i16 = 0;
    /// The group's number.
    pub(in crate::bpf) const GROUP: i16 = 8;
    /// In which second refusals were told last, and how many in it.
    pub(in crate::bpf) const WINDOW: i16 = 16;
    pub(in crate::bpf) const TOLD: i16 = 24;
    /// The rules themselves.
    pub(in crate::bpf) const FIRST: i16 = 32;
    /// The length of one: an address of 16 bytes (IPv4 as `::ffff:a.b.c.d`), what it allows, whether any address does.
    pub(in crate::bpf) const EACH: i16 = 24;
    pub(in crate::bpf) const WHAT: i16 = 16;
    pub(in crate::bpf) const ANY: i16 = 20;
    pub(in crate::bpf) const SIZE: usize = FIRST as usize + MAX_RULES * EACH as usize;
}

/// The value of the map of counters, one a group and processor: 64 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
    BytesIn,
    PacketsIn,
    BytesOut,
    PacketsOut,
    /// Connections that it asked for and was let have.
    Connects,
    /// Connections that others made to it.
    Accepts,
    Refusals,
    /// What was counted and not told.
    Untold,
}

impl Counter {
    pub const ALL: usize = 8;

    /// Where it stands in the value.
    pub const fn at(self) -> i16 {
        8 * self as i16
    }
}

/// TCP and UDP, as the network numbers them.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Which way a rule leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// To a port elsewhere.
    Out = 0,
    /// From elsewhere to a port of its own.
    In = 1,
}

/// What a rule allows, as one number: the port in the network's order, the protocol, the way.
pub(super) fn what(port: u16, protocol: u8, way: Way) -> u32 {
    u32::from(port.to_be()) | u32::from(protocol) << 16 | (way as u32) << 24
}

/// The value of the map of rules.
pub(super) fn encode(reach: Option<&Reach>, group: u64) -> Vec<u8> {
    let mut value = vec![0; rules::SIZE];
    let mut put = |at: usize, bytes: &[u8]| value[at..at + bytes.len()].copy_from_slice(bytes);
    put(rules::OPEN as usize, &u32::from(reach.is_none()).to_ne_bytes());
    put(rules::GROUP as usize, &group.to_ne_bytes());
    let out =
        |protocol: u8| move |(address, port): &(Option<IpAddr>, u16)| (*address, *port, protocol, Way::Out);
    let all = reach.into_iter().flat_map(|reach| {
        let tcp = reach.tcp.iter().map(out(TCP));
        let udp = reach.udp.iter().map(out(UDP));
        tcp.chain(udp).chain(reach.listen.iter().map(|port| (None, *port, TCP, Way::In)))
    });
    for (index, (address, port, protocol, way)) in all.take(MAX_RULES).enumerate() {
        let at = rules::FIRST as usize + index * rules::EACH as usize;
        put(at, &address.map_or([0; 16], octets));
        put(at + rules::WHAT as usize, &what(port, protocol, way).to_ne_bytes());
        put(at + rules::ANY as usize, &u32::from(address.is_none()).to_ne_bytes());
    }
    value
}

/// An address as programs compare it, whichever family it was written in.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// A record in the ring: where each field stands. `stack` is the same from the end of a program's stack.
pub(super) mod record {
    pub(in crate::bpf) const AT: i16 = 0;
    pub(in crate::bpf) const GROUP: i16 = 8;
    pub(in crate::bpf) const PID: i16 = 16;
    pub(in crate::bpf) const KIND: i16 = 20;
    pub(in crate::bpf) const PROTOCOL: i16 = 21;
    pub(in crate::bpf) const PORT: i16 = 22;
    pub(in crate::bpf) const ADDRESS: i16 = 24;
    pub(in crate::bpf) const NAME: i16 = 40;
    /// A status, or a protocol that has more than 8 bits.
    pub(in crate::bpf) const MORE: i16 = 56;
    pub(in crate::bpf) const SIZE: i16 = 64;
    /// The longest text after it.
    pub(in crate::bpf) const TEXT: i16 = 256;
    pub(in crate::bpf) const NAME_SIZE: i16 = 16;
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Exec = 1,
    Exit = 2,
    Connect = 3,
    RefusedConnect = 4,
    RefusedSend = 5,
    RefusedBind = 6,
    RefusedSocket = 7,
    RefusedIn = 8,
    RefusedOut = 9,
}

impl Kind {
    pub fn of(number: u8) -> Option<Self> {
        use Kind::{
            Connect, Exec, Exit, RefusedBind, RefusedConnect, RefusedIn, RefusedOut, RefusedSend,
            RefusedSocket,
        };
        let all = [
            Exec,
            Exit,
            Connect,
            RefusedConnect,
            RefusedSend,
            RefusedBind,
            RefusedSocket,
            RefusedIn,
            RefusedOut,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A record, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Nanoseconds since boot, without sleep.
    pub at: u64,
    pub group: u64,
    pub pid: u32,
    pub kind: Kind,
    pub protocol: u8,
    pub port: [u8; 2],
    pub address: IpAddr,
    pub name: String,
    pub more: u64,
    pub text: String,
}

/// Reads a record; `None` if it isn't one.
pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
    fn part<const N: usize>(bytes: &[u8], at: i16) -> Option<[u8; N]> {
        bytes.get(at as usize..at as usize + N)?.try_into().ok()
    }
    let number = |at| part(bytes, at).map(u64::from_ne_bytes);
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    Some(Record {
        at: number(record::AT)?,
        group: number(record::GROUP)?,
        pid: u32::from_ne_bytes(part(bytes, record::PID)?),
        kind: Kind::of(part::<1>(bytes, record::KIND)?[0])?,
        protocol: part::<1>(bytes, record::PROTOCOL)?[0],
        port: part(bytes, record::PORT)?,
        address: Ipv6Addr::from(part::<16>(bytes, record::ADDRESS)?).to_canonical(),
        name: text(&part::<16>(bytes, record::NAME)?),
        more: number(record::MORE)?,
        text: text(bytes.get(record::SIZE as usize..).unwrap_or_default()),
    })
}
