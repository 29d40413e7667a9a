//! The programs that see a group's packets: they count them, and let none pass that its sockets could not have asked for.
//!
//! Bytes are those of the network layer, headers included, as this machine's stack handles them: what the card cuts or
//! joins counts as one packet with one header.

use std::ffi::CStr;

use super::asm::{Call, If, Label, Op, Program, Reg, Size};
use super::gates::{Gate, Maps, at};
use super::shape::{Counter, Kind, TCP, UDP, Way, record};

/// Where the network's header is put on the stack, below the record, and the transport's.
const NETWORK: i16 = -120;
const TRANSPORT: i16 = -80;
/// Families as packets name them.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Of the flags of TCP: a connection begins with the first alone.
const SYN: i32 = 0x02;
const ACK: i32 = 0x10;

/// Whether a packet leaves the group or arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// Fields of `struct __sk_buff`.
const LENGTH: i16 = 0;
const PROTOCOL: i16 = 16;

/// The program for one direction.
pub(super) fn passing(maps: &Maps, name: &'static CStr, direction: Direction) -> Program {
    let (bytes, packets) = match direction {
        Direction::In => (Counter::BytesIn, Counter::PacketsIn),
        Direction::Out => (Counter::BytesOut, Counter::PacketsOut),
    };
    let mut gate = Gate::counting(maps);
    gate.asm.load(Size::U32, Reg::R1, Reg::R6, LENGTH).count(Reg::R8, bytes.at(), Reg::R1);
    gate.count(packets);
    established(&mut gate);
    gate.prepare();
    gate.open();
    let (transport, six, refused) = (gate.asm.label(), gate.asm.label(), gate.asm.label());
    gate.asm
        .load(Size::U32, Reg::R1, Reg::R6, PROTOCOL)
        .go_if(Reg::R1, If::Equal, i32::from(IPV6.to_be()), six)
        .go_if(Reg::R1, If::NotEqual, i32::from(IPV4.to_be()), refused);
    version4(&mut gate, direction, refused);
    gate.asm.go(transport).here(six);
    version6(&mut gate, direction, refused);
    gate.asm.here(transport);
    ports(&mut gate, direction, refused);
    gate.search();
    gate.asm.here(refused);
    let kind = if direction == Direction::In { Kind::RefusedIn } else { Kind::RefusedOut };
    gate.refuse(kind, false);
    gate.finish(name)
}

/// Lets what belongs to a TCP connection pass that stands: only what begins one is asked for, and that has passed.
fn established(gate: &mut Gate<'_>) {
    const SOCKET: i16 = 168;
    // `struct bpf_sock`, and `enum` of the states of TCP. A raw socket may have the same protocol and state.
    const FIELDS: [(i16, i32); 3] = [(72, 1), (12, TCP as i32), (8, libc::SOCK_STREAM)];
    let other = gate.asm.label();
    gate.asm
        .load(Size::U64, Reg::R1, Reg::R6, SOCKET)
        .go_if(Reg::R1, If::Equal, 0, other)
        .call(Call::FullSocket)
        .go_if(Reg::R0, If::Equal, 0, other);
    for (field, value) in FIELDS {
        gate.asm.load(Size::U32, Reg::R1, Reg::R0, field).go_if(Reg::R1, If::NotEqual, value, other);
    }
    gate.asm.go(gate.allow).here(other);
}

/// Whoever is at the other end, the protocol, and in `R9` where the transport's header begins.
fn version4(gate: &mut Gate<'_>, direction: Direction, refused: Label) {
    const FRAGMENT: i16 = NETWORK + 6;
    const NEXT: i16 = NETWORK + 9;
    let other = NETWORK + if direction == Direction::In { 12 } else { 16 };
    fetch(gate, None, NETWORK, 20, refused);
    gate.asm
        .load(Size::U16, Reg::R1, Reg::R10, FRAGMENT)
        .op(Op::And, Reg::R1, i32::from(0x1fff_u16.to_be()))
        // the rest of a datagram has no ports
        .go_if(Reg::R1, If::NotEqual, 0, refused)
        .load(Size::U8, Reg::R1, Reg::R10, NEXT)
        .store(Size::U8, Reg::R10, at(record::PROTOCOL), Reg::R1)
        .load(Size::U32, Reg::R1, Reg::R10, other);
    gate.mapped();
    gate.asm.load(Size::U8, Reg::R9, Reg::R10, NETWORK).op(Op::And, Reg::R9, 0x0f).op(
        Op::ShiftLeft,
        Reg::R9,
        2,
    );
}

/// The same. A header between the two is none that our sockets make.
fn version6(gate: &mut Gate<'_>, direction: Direction, refused: Label) {
    const NEXT: i16 = NETWORK + 6;
    let other = NETWORK + if direction == Direction::In { 8 } else { 24 };
    fetch(gate, None, NETWORK, 40, refused);
    gate.asm
        .load(Size::U8, Reg::R1, Reg::R10, NEXT)
        .store(Size::U8, Reg::R10, at(record::PROTOCOL), Reg::R1)
        .load(Size::U64, Reg::R1, Reg::R10, other)
        .store(Size::U64, Reg::R10, at(record::ADDRESS), Reg::R1)
        .load(Size::U64, Reg::R1, Reg::R10, other + 8)
        .store(Size::U64, Reg::R10, at(record::ADDRESS) + 8, Reg::R1)
        .set(Reg::R9, 40);
}

/// What is asked of the rules: for what begins a connection, and for datagrams.
fn ports(gate: &mut Gate<'_>, direction: Direction, refused: Label) {
    const FROM: i16 = TRANSPORT;
    const TO: i16 = TRANSPORT + 2;
    const FLAGS: i16 = TRANSPORT + 13;
    let (udp, asked) = (gate.asm.label(), gate.asm.label());
    gate.asm
        .load(Size::U8, Reg::R1, Reg::R10, at(record::PROTOCOL))
        .go_if(Reg::R1, If::Equal, i32::from(UDP), udp)
        .go_if(Reg::R1, If::NotEqual, i32::from(TCP), refused);
    fetch(gate, Some(Reg::R9), TRANSPORT, 14, refused);
    gate.asm
        .load(Size::U8, Reg::R1, Reg::R10, FLAGS)
        .op(Op::And, Reg::R1, SYN | ACK)
        .go_if(Reg::R1, If::NotEqual, SYN, gate.allow)
        .load(Size::U16, Reg::R9, Reg::R10, TO)
        .set(Reg::R1, i32::from(TCP));
    gate.ask(if direction == Direction::In { Way::In } else { Way::Out });
    gate.asm.go(asked).here(udp);
    fetch(gate, Some(Reg::R9), TRANSPORT, 4, refused);
    gate.asm
        .load(Size::U16, Reg::R9, Reg::R10, if direction == Direction::In { FROM } else { TO })
        .set(Reg::R1, i32::from(UDP));
    gate.ask(Way::Out);
    gate.asm.here(asked);
}

/// `len` bytes of the packet, from the offset in this register or its begin, onto the stack.
fn fetch(gate: &mut Gate<'_>, offset: Option<Reg>, to: i16, len: i32, refused: Label) {
    match offset {
        Some(reg) => gate.asm.set(Reg::R2, reg),
        None => gate.asm.set(Reg::R2, 0),
    }
    .set(Reg::R1, Reg::R6)
    .set(Reg::R3, Reg::R10)
    .op(Op::Add, Reg::R3, i32::from(to))
    .set(Reg::R4, len)
    .call(Call::PacketBytes)
    .go_if(Reg::R0, If::NotEqual, 0, refused);
}
