//! The three headers of a zip, as lists of named fields (APPNOTE §4.3.7, §4.3.12, §4.3.16).

use super::{BINARY, FormatError, Place};

/// One field: what people call it, and how many bytes it has (little-endian).
type Field = (&'static str, usize);

pub(super) const LOCAL_BYTES: usize = 30;
const LOCAL: [Field; 11] = [
    ("signature", 4),
    ("version needed to extract", 2),
    ("flags", 2),
    ("compression method", 2),
    ("modification time", 2),
    ("modification date", 2),
    ("CRC-32", 4),
    ("compressed size", 4),
    ("uncompressed size", 4),
    ("name length", 2),
    ("extra field length", 2),
];

pub(super) const CENTRAL_BYTES: usize = 46;
const CENTRAL: [Field; 17] = [
    ("signature", 4),
    ("version made by", 2),
    ("version needed to extract", 2),
    ("flags", 2),
    ("compression method", 2),
    ("modification time", 2),
    ("modification date", 2),
    ("CRC-32", 4),
    ("compressed size", 4),
    ("uncompressed size", 4),
    ("name length", 2),
    ("extra field length", 2),
    ("comment length", 2),
    ("disk number", 2),
    ("internal attributes", 2),
    ("external attributes", 4),
    ("local header offset", 4),
];

pub(super) const END_BYTES: usize = 22;
const END: [Field; 8] = [
    ("signature", 4),
    ("disk number", 2),
    ("directory's disk number", 2),
    ("entries on this disk", 2),
    ("entries", 2),
    ("directory size", 4),
    ("directory offset", 4),
    ("comment length", 2),
];

/// Zip 2.0, what every reader since 1993 understands.
const VERSION_NEEDED: u32 = 20;
/// Zip 3.0 on Unix: the upper half of the external attributes is a Unix mode.
const VERSION_MADE_BY: u32 = 0x031e;
/// Names are UTF-8 (APPNOTE appendix D); not encrypted, no data descriptor.
const FLAGS: u32 = 0x0800;
const STORED: u32 = 0;
/// 1980-01-01 00:00:00, the first moment DOS can write: when a file was touched is not part of a spore.
const TIME: u32 = 0;
const DATE: u32 = 0x0021;

/// One entry: all that may differ from one header to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    /// Where its local header begins.
    pub(crate) offset: u32,
}

impl Entry {
    /// Where the byte after its content is.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + (LOCAL_BYTES + self.name.len()) as u64 + u64::from(self.size)
    }

    fn name_length(&self) -> u32 {
        u32::try_from(self.name.len()).expect("names are bounded")
    }

    /// A regular file, executable when it is the program.
    fn attributes(&self) -> u32 {
        let mode: u32 = if self.name == BINARY { 0o100_755 } else { 0o100_644 };
        mode << 16
    }
}

/// The local header of `entry`, its name included.
pub(crate) fn local_header(entry: &Entry) -> Vec<u8> {
    let mut bytes = encode(
        &LOCAL,
        &[
            0x0403_4b50,
            VERSION_NEEDED,
            FLAGS,
            STORED,
            TIME,
            DATE,
            entry.crc,
            entry.size,
            entry.size,
            entry.name_length(),
            0,
        ],
    );
    bytes.extend_from_slice(entry.name.as_bytes());
    bytes
}

/// The record of `entry` in the central directory, its name included.
pub(super) fn central_record(entry: &Entry) -> Vec<u8> {
    let mut bytes = encode(
        &CENTRAL,
        &[
            0x0201_4b50,
            VERSION_MADE_BY,
            VERSION_NEEDED,
            FLAGS,
            STORED,
            TIME,
            DATE,
            entry.crc,
            entry.size,
            entry.size,
            entry.name_length(),
            0,
            0,
            0,
            0,
            entry.attributes(),
            entry.offset,
        ],
    );
    bytes.extend_from_slice(entry.name.as_bytes());
    bytes
}

/// Where the central directory is, as the record at the end of the file states it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) entries: u32,
    pub(crate) size: u32,
    pub(crate) offset: u32,
}

impl Tail {
    /// The record itself.
    pub(super) fn encode(self) -> Vec<u8> {
        encode(&END, &[0x0605_4b50, 0, 0, self.entries, self.entries, self.size, self.offset, 0])
    }

    /// The central directory of `entries` and the record at the end, as they follow the last content.
    pub(crate) fn of(entries: &[Entry], offset: u32) -> Vec<u8> {
        let mut bytes: Vec<u8> = entries.iter().flat_map(central_record).collect();
        let size = u32::try_from(bytes.len()).expect("the directory is bounded by its entries");
        let entries = u32::try_from(entries.len()).expect("entries are bounded");
        bytes.extend(Self { entries, size, offset }.encode());
        bytes
    }
}

/// Compares a local header, without its name, to the one that must be there.
pub(super) fn check_local(entry: &Entry, found: &[u8]) -> Result<(), FormatError> {
    let expected = local_header(entry);
    compare(&LOCAL, &expected, found, || Place::Local(entry.name.clone()))
}

/// Compares a central record, without its name, to the one that must be there.
pub(super) fn check_central(entry: &Entry, found: &[u8]) -> Result<(), FormatError> {
    let expected = central_record(entry);
    compare(&CENTRAL, &expected, found, || Place::Central(entry.name.clone()))
}

/// Compares the record at the end to the one that must be there.
pub(super) fn check_end(tail: Tail, found: &[u8]) -> Result<(), FormatError> {
    compare(&END, &tail.encode(), found, || Place::End)
}

/// The little-endian number of `width` bytes at `at`.
pub(super) fn number(bytes: &[u8], at: usize, width: usize) -> u32 {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn encode(layout: &[Field], values: &[u32]) -> Vec<u8> {
    let fields = layout.iter().zip(values);
    fields.flat_map(|((_, width), value)| value.to_le_bytes().into_iter().take(*width)).collect()
}

fn compare(
    layout: &[Field],
    expected: &[u8],
    found: &[u8],
    place: impl Fn() -> Place,
) -> Result<(), FormatError> {
    let mut at = 0;
    for (field, width) in layout {
        let (want, have) = (number(expected, at, *width), number(found, at, *width));
        if want != have {
            return Err(FormatError::Field { place: place(), field, expected: want, found: have });
        }
        at += width;
    }
    Ok(())
}
