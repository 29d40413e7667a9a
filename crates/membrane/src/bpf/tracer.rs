//! What processes do: each program that is executed, each process that ends, in the groups below one.
//!
//! The programs see every process of the machine, since there is no other way, and turn to the next thing at once when it
//! isn't below that group. Counters and ring end with the one who holds this; there is no more to it than seeing.
//! They read the kernel's memory, which takes a licence that the kernel accepts: the two programs, and nothing else in
//! this crate, may also be used under the MIT licence or the GPL.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;

use super::asm::{Asm, Call, If, Label, Op, Program, Reg, Size};
use super::ring::Ring;
use super::shape::{Kind, record};
use super::sys::{self, Map, MapKind, ProgramKind};
use super::{Lack, btf};

const LICENSE: &CStr = c"Dual MIT/GPL";
/// Bytes of the ring: some 10,000 records of a usual length.
const RING: u32 = 1 << 20;
/// How many groups are counted at once.
const GROUPS: u32 = 4096;
/// The counters of a group, 64 bits each.
const EXECS: i16 = 0;
const EXITS: i16 = 8;
const UNTOLD: i16 = 16;
const COUNTS: usize = 24;
/// How many arguments of the end of a process say whether it is the process or one of its threads (Linux 6.16).
const WHOLE: i16 = 8;

/// How often it happened in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processes {
    /// Programs executed.
    pub execs: u64,
    /// Processes that ended.
    pub exits: u64,
    /// Of both, what was counted and not told, for want of room.
    pub untold: u64,
}

/// The eyes on the groups below one.
#[derive(Debug)]
pub(super) struct Tracer {
    counts: Map,
    _links: [OwnedFd; 2],
}

/// Where fields stand in this kernel.
#[derive(Debug, Clone, Copy)]
struct Fields {
    exit_code: Option<i32>,
    filename: Option<i32>,
}

/// What both programs have.
struct Trace<'a> {
    asm: Asm,
    ring: &'a Map,
    end: Label,
}

/// A field of the record, which is followed by a text, from the end of the stack.
const fn at(field: i16) -> i16 {
    field - record::SIZE - record::TEXT
}

impl Tracer {
    /// Opens them on the groups right below `group`, which is `depth` below the root of the hierarchy.
    pub fn open(group: BorrowedFd<'_>, depth: i32) -> Result<(Self, AsyncFd<Ring>), Lack> {
        let make = |kind, name, key, value: usize, entries| {
            let map = Map::new(kind, name, key, value as u32, entries);
            map.map_err(|error| Lack::of_call("make a map", &error))
        };
        let counts = make(MapKind::Hash, c"mesh_processes", 8, COUNTS, GROUPS)?;
        let ring = make(MapKind::Ring, c"mesh_events", 0, 0, RING)?;
        let [exit_code, filename] =
            btf::offsets([("task_struct", "exit_code"), ("linux_binprm", "filename")]);
        let fields = Fields { exit_code, filename };
        let id = sys::group_id(group).map_err(|error| Lack::of_call("look at a group", &error))?;
        let new = || Trace::below(id, depth, &counts, &ring);
        let follow = |program: &Program, event| {
            let program = sys::load(ProgramKind::RawTracepoint, None, program).map_err(Lack::Refused)?;
            sys::trace(program.as_fd(), event)
                .map_err(|error| Lack::of_call("follow what processes do", &error))
        };
        let exec = follow(&new().exec(fields), c"sched_process_exec")?;
        // A kernel whose event has fewer arguments refuses the first.
        let exit = follow(&new().exit(fields, true), c"sched_process_exit")
            .or_else(|_| follow(&new().exit(fields, false), c"sched_process_exit"))?;
        let ring = Ring::open(ring).map_err(|error| Lack::of_call("read a ring", &error))?;
        Ok((Self { counts, _links: [exec, exit] }, ring))
    }

    /// What was counted in a group.
    pub fn counts(&self, group: u64) -> io::Result<Processes> {
        let mut value = [0; COUNTS];
        match self.counts.get(&group.to_ne_bytes(), &mut value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Processes::default()),
            done => done?,
        }
        let number = |at: i16| {
            let bytes = value[at as usize..][..8].try_into().expect("eight bytes are eight");
            u64::from_ne_bytes(bytes)
        };
        Ok(Processes { execs: number(EXECS), exits: number(EXITS), untold: number(UNTOLD) })
    }

    /// Makes room for another group.
    pub fn forget(&self, group: u64) {
        let _ = self.counts.remove(&group.to_ne_bytes());
    }
}

impl<'a> Trace<'a> {
    /// Begins a program that goes on only for a process below the group, with its counters in `R7`.
    fn below(group: u64, depth: i32, counts: &Map, ring: &'a Map) -> Self {
        const NOEXIST: i32 = 1;
        let mut asm = Asm::default();
        let (end, found) = (asm.label(), asm.label());
        asm.set(Reg::R6, Reg::R1)
            .set(Reg::R1, depth)
            .call(Call::AncestorGroup)
            .wide(Reg::R1, group)
            .go_if(Reg::R0, If::NotEqual, Reg::R1, end)
            .set(Reg::R1, depth + 1)
            .call(Call::AncestorGroup)
            .go_if(Reg::R0, If::Equal, 0, end);
        for field in (0..record::SIZE + record::TEXT).step_by(8) {
            asm.store(Size::U64, Reg::R10, at(field), 0);
        }
        asm.store(Size::U64, Reg::R10, at(record::GROUP), Reg::R0);
        let key = i32::from(at(record::GROUP));
        let find = |asm: &mut Asm| {
            asm.map(Reg::R1, counts).set(Reg::R2, Reg::R10).op(Op::Add, Reg::R2, key).call(Call::MapLookup);
        };
        find(&mut asm);
        asm.go_if(Reg::R0, If::NotEqual, 0, found)
            // the first of its group: counters at zero, as the text still is
            .map(Reg::R1, counts)
            .set(Reg::R2, Reg::R10)
            .op(Op::Add, Reg::R2, key)
            .set(Reg::R3, Reg::R10)
            .op(Op::Add, Reg::R3, i32::from(at(record::SIZE)))
            .set(Reg::R4, NOEXIST)
            .call(Call::MapUpdate);
        find(&mut asm);
        asm.here(found).go_if(Reg::R0, If::Equal, 0, end).set(Reg::R7, Reg::R0);
        Self { asm, ring, end }
    }

    fn exec(mut self, fields: Fields) -> Program {
        const BINARY: i16 = 16;
        self.count(EXECS);
        self.asm.set(Reg::R8, 0);
        if let Some(offset) = fields.filename {
            let none = self.asm.label();
            self.asm.load(Size::U64, Reg::R3, Reg::R6, BINARY).op(Op::Add, Reg::R3, offset);
            self.kernel(Call::KernelBytes, record::AT, 8);
            self.asm.load(Size::U64, Reg::R3, Reg::R10, at(record::AT));
            self.kernel(Call::KernelText, record::SIZE, record::TEXT);
            self.asm
                .go_if(Reg::R0, If::Greater, i32::from(record::TEXT), none)
                .set(Reg::R8, Reg::R0)
                .here(none);
        }
        self.tell(Kind::Exec);
        self.finish(c"mesh_exec")
    }

    /// `whole`: whether the event says if the last thread ended; else the first one stands for the process.
    fn exit(mut self, fields: Fields, whole: bool) -> Program {
        if whole {
            self.asm.load(Size::U64, Reg::R1, Reg::R6, WHOLE).op(Op::And, Reg::R1, 0xff).go_if(
                Reg::R1,
                If::Equal,
                0,
                self.end,
            );
        } else {
            self.asm
                .call(Call::ProcessAndThread)
                .set(Reg::R1, Reg::R0)
                .op(Op::ShiftRight, Reg::R1, 32)
                .op(Op::ShiftLeft, Reg::R0, 32)
                .op(Op::ShiftRight, Reg::R0, 32)
                .go_if(Reg::R0, If::NotEqual, Reg::R1, self.end);
        }
        self.count(EXITS);
        match fields.exit_code {
            Some(offset) => {
                self.asm.load(Size::U64, Reg::R3, Reg::R6, 0).op(Op::Add, Reg::R3, offset);
                self.kernel(Call::KernelBytes, record::MORE, 4);
            }
            None => {
                self.asm.store(Size::U64, Reg::R10, at(record::MORE), -1);
            }
        }
        self.asm.set(Reg::R8, 0);
        self.tell(Kind::Exit);
        self.finish(c"mesh_exit")
    }

    fn count(&mut self, counter: i16) {
        self.asm.set(Reg::R1, 1).count(Reg::R7, counter, Reg::R1);
    }

    /// Reads the kernel's memory, which `R3` points to, into a field.
    fn kernel(&mut self, how: Call, field: i16, len: i16) {
        self.asm
            .set(Reg::R1, Reg::R10)
            .op(Op::Add, Reg::R1, i32::from(at(field)))
            .set(Reg::R2, i32::from(len))
            .call(how);
    }

    /// Puts the record into the ring, with as much text as `R8` says.
    fn tell(&mut self, kind: Kind) {
        self.asm
            .call(Call::Nanoseconds)
            .store(Size::U64, Reg::R10, at(record::AT), Reg::R0)
            .store(Size::U8, Reg::R10, at(record::KIND), kind as i32)
            .call(Call::ProcessAndThread)
            .op(Op::ShiftRight, Reg::R0, 32)
            .store(Size::U32, Reg::R10, at(record::PID), Reg::R0)
            .set(Reg::R1, Reg::R10)
            .op(Op::Add, Reg::R1, i32::from(at(record::NAME)))
            .set(Reg::R2, i32::from(record::NAME_SIZE))
            .call(Call::ProcessName)
            .map(Reg::R1, self.ring)
            .set(Reg::R2, Reg::R10)
            .op(Op::Add, Reg::R2, i32::from(at(0)))
            .set(Reg::R3, Reg::R8)
            .op(Op::Add, Reg::R3, i32::from(record::SIZE))
            .set(Reg::R4, 0)
            .call(Call::RingOutput)
            .go_if(Reg::R0, If::Equal, 0, self.end);
        self.count(UNTOLD);
    }

    fn finish(mut self, name: &'static CStr) -> Program {
        self.asm.here(self.end).answer(0);
        self.asm.finish(name, LICENSE)
    }
}
