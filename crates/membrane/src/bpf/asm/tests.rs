use super::*;

/// Each instruction that there is, as the specification numbers it.
#[test]
fn instructions_are_those_of_the_specification() {
    let mut asm = Asm::default();
    let end = asm.label();
    asm.set(Reg::R6, Reg::R1)
        .load(Size::U32, Reg::R1, Reg::R6, 24)
        .go_if(Reg::R1, If::Equal, 80, end)
        .op(Op::Add, Reg::R1, 1)
        .store(Size::U64, Reg::R10, -8, Reg::R1)
        .store(Size::U8, Reg::R10, -16, 7)
        .count(Reg::R6, 16, Reg::R1)
        .call(Call::Nanoseconds)
        .wide(Reg::R2, 0x1122_3344_5566_7788)
        .here(end)
        .answer(1);
    let program = asm.finish(c"test", c"Apache-2.0");
    let bytes: Vec<String> = program
        .code
        .iter()
        .map(|insn| format!("{:02x} {:02x} {} {:x}", insn.code, insn.regs, insn.off, insn.imm))
        .collect();
    let expected = [
        "bf 16 0 0",        // r6 = r1
        "61 61 24 0",       // r1 = *(u32 *)(r6 + 24)
        "15 01 7 50",       // if r1 == 80 goto +7
        "07 01 0 1",        // r1 += 1
        "7b 1a -8 0",       // *(u64 *)(r10 - 8) = r1
        "72 0a -16 7",      // *(u8 *)(r10 - 16) = 7
        "db 16 16 0",       // lock *(u64 *)(r6 + 16) += r1
        "85 00 0 5",        // call 5
        "18 02 0 55667788", // r2 = 0x1122334455667788 ll
        "00 00 0 11223344",
        "b7 00 0 1", // r0 = 1
        "95 00 0 0", // exit
    ];
    assert_eq!(bytes, expected);
}
