//! The few instructions that our programs are made of (`Documentation/bpf/standardization/instruction-set.rst`).
//!
//! No compiler and no object files: what runs in the kernel stands here in Rust, is put together when it is loaded, and
//! the kernel's verifier is its type checker.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _};

use super::sys::Map;

/// A register. `R0` holds answers, `R1` to `R5` arguments, which a call destroys; `R6` to `R9` survive one; `R10` is the
/// end of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R9,
    R10,
}

/// How much is read or written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Size {
    U32 = 0x00,
    U16 = 0x08,
    U8 = 0x10,
    U64 = 0x18,
}

/// A register or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Reg(Reg),
    Num(i32),
}

impl From<Reg> for Value {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Num(number)
    }
}

/// Arithmetic on 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    ShiftLeft = 0x60,
    ShiftRight = 0x70,
    Move = 0xb0,
}

/// Comparisons of 64 bits without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum If {
    Equal = 0x10,
    Greater = 0x20,
    NotEqual = 0x50,
}

/// What the kernel does for a program (`enum bpf_func_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Call {
    MapLookup = 1,
    MapUpdate = 2,
    Nanoseconds = 5,
    ProcessAndThread = 14,
    ProcessName = 16,
    PacketBytes = 26,
    LocalStorage = 81,
    FullSocket = 95,
    KernelBytes = 113,
    KernelText = 115,
    AncestorGroup = 123,
    RingOutput = 130,
}

/// A place in a program that others jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub name: &'static CStr,
    pub license: &'static CStr,
    pub code: Vec<Insn>,
}

/// `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Insn {
    code: u8,
    regs: u8,
    off: i16,
    imm: i32,
}

/// Classes and modes of instructions.
const LD_IMM64: u8 = 0x18;
const LDX: u8 = 0x61;
const ST: u8 = 0x62;
const STX: u8 = 0x63;
const STX_ATOMIC: u8 = 0xc3;
const JMP: u8 = 0x05;
const ALU64: u8 = 0x07;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const FROM_REG: u8 = 0x08;
/// Says that a 64-bit number is a map's descriptor (`BPF_PSEUDO_MAP_FD`).
const MAP_FD: u8 = 1;

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Asm {
    code: Vec<Insn>,
    /// Where each label stands.
    labels: Vec<Option<usize>>,
    /// Jumps and where they lead.
    jumps: Vec<(usize, Label)>,
}

impl Asm {
    fn put(&mut self, code: u8, dst: Reg, src: u8, off: i16, imm: i32) -> &mut Self {
        self.code.push(Insn { code, regs: dst as u8 | src << 4, off, imm });
        self
    }

    pub fn op(&mut self, op: Op, dst: Reg, value: impl Into<Value>) -> &mut Self {
        let code = ALU64 | op as u8;
        match value.into() {
            Value::Reg(src) => self.put(code | FROM_REG, dst, src as u8, 0, 0),
            Value::Num(number) => self.put(code, dst, 0, 0, number),
        }
    }

    pub fn set(&mut self, dst: Reg, value: impl Into<Value>) -> &mut Self {
        self.op(Op::Move, dst, value)
    }

    /// `dst = *(from + off)`
    pub fn load(&mut self, size: Size, dst: Reg, from: Reg, off: i16) -> &mut Self {
        self.put(LDX | size as u8, dst, from as u8, off, 0)
    }

    /// `*(to + off) = value`
    pub fn store(&mut self, size: Size, to: Reg, off: i16, value: impl Into<Value>) -> &mut Self {
        match value.into() {
            Value::Reg(src) => self.put(STX | size as u8, to, src as u8, off, 0),
            Value::Num(number) => self.put(ST | size as u8, to, 0, off, number),
        }
    }

    /// `*(to + off) += src`, 64 bits at once, whoever else does the same.
    pub fn count(&mut self, to: Reg, off: i16, src: Reg) -> &mut Self {
        self.put(STX_ATOMIC | Size::U64 as u8, to, src as u8, off, 0)
    }

    /// `dst` becomes a pointer to a map.
    pub fn map(&mut self, dst: Reg, map: &Map) -> &mut Self {
        self.put(LD_IMM64, dst, MAP_FD, 0, map.as_fd().as_raw_fd());
        self.code.push(Insn { code: 0, regs: 0, off: 0, imm: 0 });
        self
    }

    /// `dst` becomes a number of 64 bits.
    pub fn wide(&mut self, dst: Reg, number: u64) -> &mut Self {
        self.put(LD_IMM64, dst, 0, 0, number as u32 as i32);
        self.code.push(Insn { code: 0, regs: 0, off: 0, imm: (number >> 32) as u32 as i32 });
        self
    }

    pub fn call(&mut self, what: Call) -> &mut Self {
        self.put(CALL, Reg::R0, 0, 0, what as i32)
    }

    /// A place for [`Self::here`].
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label stands for what comes next.
    pub fn here(&mut self, label: Label) -> &mut Self {
        self.labels[label.0] = Some(self.code.len());
        self
    }

    pub fn go(&mut self, to: Label) -> &mut Self {
        self.jumps.push((self.code.len(), to));
        self.put(JMP, Reg::R0, 0, 0, 0)
    }

    pub fn go_if(&mut self, reg: Reg, what: If, value: impl Into<Value>, to: Label) -> &mut Self {
        self.jumps.push((self.code.len(), to));
        let code = JMP | what as u8;
        match value.into() {
            Value::Reg(src) => self.put(code | FROM_REG, reg, src as u8, 0, 0),
            Value::Num(number) => self.put(code, reg, 0, 0, number),
        }
    }

    /// Ends the program with this answer.
    pub fn answer(&mut self, number: i32) -> &mut Self {
        self.set(Reg::R0, number).put(EXIT, Reg::R0, 0, 0, 0)
    }

    /// The program. Each label that is jumped to must stand somewhere, at most 32,767 instructions away.
    pub fn finish(mut self, name: &'static CStr, license: &'static CStr) -> Program {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("a label that is jumped to stands somewhere");
            let distance = target as isize - at as isize - 1;
            self.code[at].off = i16::try_from(distance).expect("our programs are short");
        }
        Program { name, license, code: self.code }
    }
}

#[cfg(test)]
mod tests;
