//! The programs at a replica's group: what each does with a socket, an address, a packet.
//!
//! ```text
//! socket() ─▶ socket     TCP and UDP, nothing else that has packets (raw, MPTCP, SCTP, ping …)
//! bind()   ─▶ address    its own ports, or any that is free
//! connect(), sendto() ─▶ address    what its reach lists, else EPERM
//! a packet leaves    ─▶ packet     the same once more, unless its TCP connection stands: whatever way there is around the calls
//! a packet arrives   ─▶ packet     new connections to its own ports; datagrams from whom it may send to
//! ```
//! They look at the group that a *socket* was made in. IPv4 addresses are compared as `::ffff:a.b.c.d`, so that it makes
//! no difference how one was written. Registers: `R6` the context, `R7` the rules, `R8` the counters, `R9` what is asked.

use std::ffi::CStr;

use super::asm::{Asm, Call, If, Label, Op, Program, Reg, Size};
use super::shape::{Counter, Kind, MAX_RULES, TCP, UDP, Way, record, rules};
use super::sys::Map;

/// They use nothing that the kernel keeps for others.
const LICENSE: &CStr = c"Apache-2.0";
/// How many refusals of one group are told in a second (of 2^30 ns); all are counted.
const TOLD: i32 = 64;

/// What all of them use.
#[derive(Debug)]
pub(super) struct Maps {
    pub rules: Map,
    pub counts: Map,
    pub ring: Map,
    /// One number: whether somebody wants to know of what is let through, too.
    pub wanted: Map,
}

/// The two families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// A program that is being written, and what all have.
pub(super) struct Gate<'a> {
    pub asm: Asm,
    maps: &'a Maps,
    /// Lets it through.
    pub allow: Label,
}

/// A field of the record, from the end of the stack.
pub(super) const fn at(field: i16) -> i16 {
    field - record::SIZE
}

impl<'a> Gate<'a> {
    /// Finds rules and counters, and empties the record.
    pub fn new(maps: &'a Maps) -> Self {
        let mut gate = Self::counting(maps);
        gate.prepare();
        gate
    }

    /// Finds the counters alone.
    pub fn counting(maps: &'a Maps) -> Self {
        let mut asm = Asm::default();
        asm.set(Reg::R6, Reg::R1);
        let allow = asm.label();
        let mut gate = Self { asm, maps, allow };
        gate.storage(&maps.counts, Reg::R8);
        gate
    }

    /// Finds the rules, and empties the record.
    pub fn prepare(&mut self) {
        self.storage(&self.maps.rules, Reg::R7);
        for field in (0..record::SIZE).step_by(8) {
            self.asm.store(Size::U64, Reg::R10, at(field), 0);
        }
    }

    fn storage(&mut self, map: &Map, to: Reg) {
        self.asm.map(Reg::R1, map).set(Reg::R2, 0).call(Call::LocalStorage).set(to, Reg::R0);
    }

    /// `R1` becomes one more.
    pub fn count(&mut self, counter: Counter) {
        self.asm.set(Reg::R1, 1).count(Reg::R8, counter.at(), Reg::R1);
    }

    /// Goes on only for those whose reach is limited.
    pub fn open(&mut self) {
        self.asm.load(Size::U32, Reg::R1, Reg::R7, rules::OPEN);
        self.asm.go_if(Reg::R1, If::NotEqual, 0, self.allow);
    }

    /// `R9` = what is asked: the port that `R9` is (as the network writes it), by the protocol in `R1`.
    pub fn ask(&mut self, way: Way) {
        self.asm
            .op(Op::And, Reg::R9, 0xffff)
            .store(Size::U16, Reg::R10, at(record::PORT), Reg::R9)
            .op(Op::And, Reg::R1, 0xff)
            .store(Size::U8, Reg::R10, at(record::PROTOCOL), Reg::R1)
            .op(Op::ShiftLeft, Reg::R1, 16)
            .op(Op::Or, Reg::R9, Reg::R1)
            .op(Op::Or, Reg::R9, (way as i32) << 24);
    }

    /// Lets it through if a rule allows what `R9` asks for the address in the record.
    pub fn search(&mut self) {
        let asm = &mut self.asm;
        asm.load(Size::U64, Reg::R2, Reg::R10, at(record::ADDRESS));
        asm.load(Size::U64, Reg::R3, Reg::R10, at(record::ADDRESS) + 8);
        for index in 0..MAX_RULES as i16 {
            let rule = rules::FIRST + index * rules::EACH;
            let next = asm.label();
            asm.load(Size::U32, Reg::R1, Reg::R7, rule + rules::WHAT)
                .go_if(Reg::R1, If::NotEqual, Reg::R9, next)
                .load(Size::U32, Reg::R1, Reg::R7, rule + rules::ANY)
                .go_if(Reg::R1, If::NotEqual, 0, self.allow)
                .load(Size::U64, Reg::R1, Reg::R7, rule)
                .go_if(Reg::R1, If::NotEqual, Reg::R2, next)
                .load(Size::U64, Reg::R1, Reg::R7, rule + 8)
                .go_if(Reg::R1, If::Equal, Reg::R3, self.allow)
                .here(next);
        }
    }

    /// Counts and tells the refusal, and ends with it. `who`: whether the process is there to be asked for its name.
    pub fn refuse(&mut self, kind: Kind, who: bool) {
        self.count(Counter::Refusals);
        let (told, silent) = (self.asm.label(), self.asm.label());
        self.asm
            .call(Call::Nanoseconds)
            .store(Size::U64, Reg::R10, at(record::AT), Reg::R0)
            .op(Op::ShiftRight, Reg::R0, 30)
            .load(Size::U64, Reg::R1, Reg::R7, rules::WINDOW)
            .load(Size::U64, Reg::R2, Reg::R7, rules::TOLD)
            .go_if(Reg::R0, If::Equal, Reg::R1, told)
            .store(Size::U64, Reg::R7, rules::WINDOW, Reg::R0)
            .set(Reg::R2, 0)
            .here(told)
            .go_if(Reg::R2, If::Greater, TOLD - 1, silent)
            .op(Op::Add, Reg::R2, 1)
            .store(Size::U64, Reg::R7, rules::TOLD, Reg::R2);
        self.tell(kind, who);
        self.asm.answer(0).here(silent);
        self.count(Counter::Untold);
        self.asm.answer(0);
    }

    /// Puts the record, whose time and what is asked are there, into the ring.
    fn tell(&mut self, kind: Kind, who: bool) {
        let asm = &mut self.asm;
        asm.load(Size::U64, Reg::R1, Reg::R7, rules::GROUP)
            .store(Size::U64, Reg::R10, at(record::GROUP), Reg::R1)
            .store(Size::U8, Reg::R10, at(record::KIND), kind as i32);
        if who {
            asm.call(Call::ProcessAndThread)
                .op(Op::ShiftRight, Reg::R0, 32)
                .store(Size::U32, Reg::R10, at(record::PID), Reg::R0)
                .set(Reg::R1, Reg::R10)
                .op(Op::Add, Reg::R1, i32::from(at(record::NAME)))
                .set(Reg::R2, i32::from(record::NAME_SIZE))
                .call(Call::ProcessName);
        }
        let told = asm.label();
        asm.map(Reg::R1, &self.maps.ring)
            .set(Reg::R2, Reg::R10)
            .op(Op::Add, Reg::R2, i32::from(at(0)))
            .set(Reg::R3, i32::from(record::SIZE))
            .set(Reg::R4, 0)
            .call(Call::RingOutput)
            .go_if(Reg::R0, If::Equal, 0, told);
        self.count(Counter::Untold);
        self.asm.here(told);
    }

    /// The end: what was let through is.
    pub fn finish(mut self, name: &'static CStr) -> Program {
        self.asm.here(self.allow).answer(1);
        self.asm.finish(name, LICENSE)
    }

    /// The same, and says so if somebody wants to know: for connections.
    fn finish_telling(mut self, name: &'static CStr) -> Program {
        self.asm.here(self.allow);
        let (counted, done) = (self.asm.label(), self.asm.label());
        self.asm.load(Size::U8, Reg::R1, Reg::R10, at(record::PROTOCOL)).go_if(
            Reg::R1,
            If::NotEqual,
            i32::from(TCP),
            counted,
        );
        self.count(Counter::Connects);
        self.asm
            .here(counted)
            .store(Size::U32, Reg::R10, at(record::PID), 0)
            .set(Reg::R2, Reg::R10)
            .op(Op::Add, Reg::R2, i32::from(at(record::PID)))
            .map(Reg::R1, &self.maps.wanted)
            .call(Call::MapLookup)
            .go_if(Reg::R0, If::Equal, 0, done)
            .load(Size::U32, Reg::R1, Reg::R0, 0)
            .go_if(Reg::R1, If::Equal, 0, done)
            .call(Call::Nanoseconds)
            .store(Size::U64, Reg::R10, at(record::AT), Reg::R0);
        self.tell(Kind::Connect, true);
        self.asm.here(done).answer(1);
        self.asm.finish(name, LICENSE)
    }

    /// The address that a call names, into the record (`struct bpf_sock_addr`).
    fn address(&mut self, family: Family) {
        const IP4: i16 = 4;
        const IP6: i16 = 8;
        match family {
            Family::V4 => {
                self.asm.load(Size::U32, Reg::R1, Reg::R6, IP4);
                self.mapped();
            }
            Family::V6 => {
                for word in [0, 4, 8, 12] {
                    self.asm.load(Size::U32, Reg::R1, Reg::R6, IP6 + word).store(
                        Size::U32,
                        Reg::R10,
                        at(record::ADDRESS) + word,
                        Reg::R1,
                    );
                }
            }
        }
    }

    /// The IPv4 address in `R1` becomes the record's.
    pub fn mapped(&mut self) {
        let mark = i32::from_ne_bytes([0, 0, 0xff, 0xff]);
        self.asm.store(Size::U32, Reg::R10, at(record::ADDRESS) + 8, mark).store(
            Size::U32,
            Reg::R10,
            at(record::ADDRESS) + 12,
            Reg::R1,
        );
    }
}

/// Fields of `struct bpf_sock_addr`.
const PORT: i16 = 24;
const PROTOCOL: i16 = 36;

/// `connect()`, and `sendto()` without a connection.
pub(super) fn reaching(maps: &Maps, name: &'static CStr, family: Family, kind: Kind) -> Program {
    let mut gate = Gate::new(maps);
    gate.address(family);
    gate.asm.load(Size::U32, Reg::R9, Reg::R6, PORT).load(Size::U32, Reg::R1, Reg::R6, PROTOCOL);
    gate.ask(Way::Out);
    gate.open();
    gate.search();
    gate.refuse(kind, true);
    if kind == Kind::RefusedConnect { gate.finish_telling(name) } else { gate.finish(name) }
}

/// `bind()`: its own ports, or one that the kernel chooses, which nobody gets through to.
pub(super) fn binding(maps: &Maps, name: &'static CStr, family: Family) -> Program {
    let mut gate = Gate::new(maps);
    gate.open();
    gate.address(family);
    gate.asm.load(Size::U32, Reg::R9, Reg::R6, PORT).go_if(Reg::R9, If::Equal, 0, gate.allow);
    gate.asm.load(Size::U32, Reg::R1, Reg::R6, PROTOCOL);
    gate.ask(Way::In);
    gate.search();
    gate.refuse(Kind::RefusedBind, true);
    gate.finish(name)
}

/// `socket()` of the families that have packets (`struct bpf_sock`).
pub(super) fn making(maps: &Maps, name: &'static CStr) -> Program {
    const TYPE: i16 = 8;
    const PROTOCOL: i16 = 12;
    let mut gate = Gate::new(maps);
    gate.open();
    gate.asm.load(Size::U32, Reg::R9, Reg::R6, TYPE).load(Size::U32, Reg::R1, Reg::R6, PROTOCOL);
    for (kind, protocol) in [(libc::SOCK_STREAM, TCP), (libc::SOCK_DGRAM, UDP)] {
        let other = gate.asm.label();
        gate.asm
            .go_if(Reg::R9, If::NotEqual, kind, other)
            .go_if(Reg::R1, If::Equal, i32::from(protocol), gate.allow)
            .here(other);
    }
    gate.asm.store(Size::U64, Reg::R10, at(record::MORE), Reg::R1).store(
        Size::U16,
        Reg::R10,
        at(record::PORT),
        Reg::R9,
    );
    gate.refuse(Kind::RefusedSocket, true);
    gate.finish(name)
}

/// What becomes of a connection (`struct bpf_sock_ops`): those that others made are counted. It changes nothing.
pub(super) fn connected(maps: &Maps, name: &'static CStr) -> Program {
    const OPERATION: i16 = 0;
    const REPLY: i16 = 4;
    const PASSIVE_ESTABLISHED: i32 = 5;
    let mut gate = Gate::new(maps);
    // by way of a register: a number is not taken before Linux 6.3
    gate.asm.set(Reg::R1, -1).store(Size::U32, Reg::R6, REPLY, Reg::R1);
    gate.asm.load(Size::U32, Reg::R1, Reg::R6, OPERATION);
    gate.asm.go_if(Reg::R1, If::NotEqual, PASSIVE_ESTABLISHED, gate.allow);
    gate.count(Counter::Accepts);
    gate.finish(name)
}
