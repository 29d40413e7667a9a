//! Where fields stand in this kernel's structures, as it says itself (`Documentation/bpf/btf.rst`).

use std::fs;

/// The kernel's description of its own types.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;

/// The offsets in bytes of fields, each named by its structure; `None` for what isn't there.
pub(super) fn offsets<const N: usize>(fields: [(&str, &str); N]) -> [Option<i32>; N] {
    fs::read(KERNEL).map_or([None; N], |bytes| find(&bytes, fields))
}

fn find<const N: usize>(bytes: &[u8], fields: [(&str, &str); N]) -> [Option<i32>; N] {
    let mut found = [None; N];
    // Ends early where the description does.
    let _ = walk(bytes, |structure, field, offset| {
        for (slot, wanted) in found.iter_mut().zip(fields) {
            if slot.is_none() && (structure, field) == (wanted.0.as_bytes(), wanted.1.as_bytes()) {
                *slot = i32::try_from(offset).ok();
            }
        }
    });
    found
}

/// Shows every named field of every named structure.
fn walk(bytes: &[u8], mut each: impl FnMut(&[u8], &[u8], u32)) -> Option<()> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if bytes.get(..2)? != MAGIC.to_ne_bytes() {
        return None;
    }
    let head = number(4)? as usize;
    let start = |at| head.checked_add(number(at)? as usize);
    let (mut at, texts) = (start(8)?, start(16)?);
    let end = at.checked_add(number(12)? as usize)?;
    let text = |offset: u32| {
        let rest = bytes.get(texts.checked_add(offset as usize)?..)?;
        rest.split(|byte| *byte == 0).next()
    };
    while at < end {
        let (name, info) = (number(at)?, number(at + 4)?);
        let (kind, count, bits) = (info >> 24 & 0x1f, (info & 0xffff) as usize, info >> 31 == 1);
        at += 12;
        if kind == STRUCT {
            let structure = text(name)?;
            for member in (at..).step_by(12).take(if structure.is_empty() { 0 } else { count }) {
                let offset = number(member + 8)?;
                let offset = if bits { offset & 0x00ff_ffff } else { offset };
                each(structure, text(number(member)?)?, offset / 8);
            }
        }
        at += match kind {
            // integers, variables, tags of declarations
            1 | 14 | 17 => 4,
            // arrays
            3 => 12,
            // structures, unions, sections of data, wide enumerations
            STRUCT | 5 | 15 | 19 => 12 * count,
            // enumerations, prototypes
            6 | 13 => 8 * count,
            0 | 2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
    }
    Some(())
}

#[cfg(test)]
mod tests;
