//! Bundles whose zip lies: headers, names, order, what lies between and after.

use spore::open;

use crate::forge::{bundle, document, part, refused, sign, zip};
use crate::support::Bench;

const FILES: [(&str, &[u8]); 2] = [("a", b"alpha"), ("b/c", b"beta")];
const BINARY: &[u8] = b"program";

fn honest() -> Vec<u8> {
    bundle(&sign(document(BINARY, &FILES)), BINARY, &FILES)
}

fn manifest() -> Vec<u8> {
    serde_json::to_vec(&sign(document(BINARY, &[]))).unwrap()
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

/// Where the central directory's record of `name` begins.
fn central(bytes: &[u8], name: &str) -> usize {
    let mut at = find(bytes, b"PK\x01\x02");
    loop {
        let length = usize::from(bytes[at + 28]);
        if &bytes[at + 46..at + 46 + length] == name.as_bytes() {
            return at;
        }
        at += 46 + length;
    }
}

/// Where the local header of `name` begins.
fn local(bytes: &[u8], name: &str) -> usize {
    let at = central(bytes, name) + 42;
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Whether byte `at` is in the content of the manifest or the program, where the CRC-32 sees any one changed byte.
fn in_content(bytes: &[u8], at: usize) -> bool {
    ["manifest.json", "binary"].iter().any(|name| {
        let (record, start) = (central(bytes, name), local(bytes, name) + 30 + name.len());
        let size = u32::from_le_bytes(bytes[record + 24..record + 28].try_into().unwrap()) as usize;
        (start..start + size).contains(&at)
    })
}

/// Every byte of the file: each header's to any other value, each content's in any of its bits.
#[test]
fn no_byte_can_be_changed() {
    use std::os::unix::fs::FileExt as _;
    let bench = Bench::new();
    let bytes = honest();
    let path = bench.write("walk.spore", &bytes);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        let changes: Vec<u8> =
            if in_content(&bytes, at) { (0..8).map(|bit| 1 << bit).collect() } else { (1..=255).collect() };
        for change in changes {
            file.write_all_at(&[byte ^ change], at as u64).unwrap();
            let result = open(file.try_clone().unwrap()).and_then(|spore| spore.verify(None));
            assert!(result.is_err(), "byte {at} may be {:#04x} instead of {byte:#04x}", byte ^ change);
        }
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    open(file).unwrap().verify(None).unwrap();
}

#[test]
fn no_byte_can_be_missing_at_the_end_or_the_start() {
    let bench = Bench::new();
    let bytes = honest();
    for length in 0..bytes.len() {
        assert!(open(bench.file(&bytes[..length])).is_err(), "the first {length} bytes pass");
        assert!(open(bench.file(&bytes[bytes.len() - length..])).is_err(), "the last {length} bytes pass");
    }
}

#[test]
fn nothing_can_be_added_at_either_end() {
    for extra in [&b"\0"[..], b"x", b"PK\x05\x06", &[0; 22], &[0; 70_000], &honest()] {
        refused(&[&honest(), extra].concat(), &[]);
        refused(&[extra, &honest()].concat(), &[]);
    }
}

#[test]
fn nothing_can_be_inserted_anywhere() {
    let bench = Bench::new();
    let bytes = honest();
    for at in 0..=bytes.len() {
        for extra in [0, b'P'] {
            let mut longer = bytes.clone();
            longer.insert(at, extra);
            let result = open(bench.file(&longer)).and_then(|spore| spore.verify(None));
            assert!(result.is_err(), "{extra:#04x} may be inserted at {at}");
        }
    }
}

/// Each field of the local header and of the central record, by the name the error must use.
#[test]
fn every_lying_header_field_is_named() {
    let shared = [
        ("version needed to extract", 4),
        ("flags", 6),
        ("compression method", 8),
        ("modification time", 10),
        ("modification date", 12),
        ("compressed size", 18),
    ];
    let local_only = [
        ("signature", 0),
        ("CRC-32", 14),
        ("uncompressed size", 22),
        ("name length", 26),
        ("extra field length", 28),
    ];
    for (field, at) in shared.iter().chain(&local_only) {
        let mut bytes = honest();
        let header = local(&bytes, "binary");
        bytes[header + at] ^= 1;
        refused(&bytes, &["the local header of \"binary\"", field]);
    }
    let central_only = [
        ("signature", 0),
        ("version made by", 4),
        ("extra field length", 30),
        ("comment length", 32),
        ("disk number", 34),
        ("internal attributes", 36),
        ("external attributes", 38),
        ("local header offset", 42),
    ];
    let moved = shared.map(|(field, at)| (field, at + 2));
    for (field, at) in moved.iter().chain(&central_only) {
        let mut bytes = honest();
        let record = central(&bytes, "binary");
        bytes[record + at] ^= 1;
        refused(&bytes, &["the central directory's record of \"binary\"", field]);
    }
    let end = [
        ("signature", 22),
        ("disk number", 18),
        ("directory's disk number", 16),
        ("entries on this disk", 14),
        ("directory offset", 6),
        ("comment length", 2),
    ];
    for (field, from_end) in end {
        let mut bytes = honest();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        refused(&bytes, &["the end of central directory record", field]);
    }
}

#[test]
fn what_no_field_tells_is_named_too() {
    let honest = honest();
    let mut renamed = honest.clone();
    let header = local(&honest, "files/a");
    renamed[header + 36] = b'b';
    refused(&renamed, &["the local header of \"files/a\" calls it \"files/b\""]);

    let mut other = honest.clone();
    other[60] ^= 1;
    refused(&other, &["the CRC-32 of \"manifest.json\""]);

    // Bytes between the last content and the directory, which the end accounts for.
    let start = central(&honest, "manifest.json");
    let mut gap = honest.clone();
    gap.splice(start..start, *b"hidden");
    add(&mut gap, 6, 6);
    refused(&gap, &["the entries end at", "the central directory begins at"]);

    // Bytes within the directory after its last record, which the end accounts for.
    let mut filled = honest.clone();
    let end = filled.len() - 22;
    filled.splice(end..end, *b"hidden");
    add(&mut filled, 10, 6);
    refused(&filled, &["the central directory's records don't fill"]);
}

/// Adds `more` to the four bytes that begin `from_end` bytes before the end.
fn add(bytes: &mut [u8], from_end: usize, more: u32) {
    let at = bytes.len() - from_end;
    let number = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) + more;
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

#[test]
fn encryption_descriptors_and_compression_are_refused() {
    for (flag, at) in [(0x01, 6), (0x08, 6), (0x40, 6), (0x08, 8), (0x63, 8)] {
        let mut bytes = honest();
        let (header, record) = (local(&bytes, "binary"), central(&bytes, "binary"));
        bytes[header + at] |= flag;
        bytes[record + at + 2] |= flag;
        refused(&bytes, &["\"binary\"", if at == 6 { "flags" } else { "compression method" }]);
    }
}

#[test]
fn links_devices_folders_and_setuid_are_refused() {
    for mode in [0o120_777u32, 0o060_644, 0o020_644, 0o040_755, 0o010_644, 0o140_644, 0o104_755, 0o100_777, 0]
    {
        let mut bytes = honest();
        let at = central(&bytes, "files/a") + 38;
        bytes[at..at + 4].copy_from_slice(&(mode << 16).to_le_bytes());
        refused(&bytes, &["\"files/a\"", "external attributes"]);
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in [
        "files/../x",
        "files//x",
        "files/",
        "files/.",
        "files/a/../../x",
        "files/a\\..\\x",
        "files/a\0b",
        "files/\u{202e}x",
    ] {
        refused(
            &zip(&[part("manifest.json", &manifest()), part("binary", BINARY), part(name, b"x")]),
            &["entry 2"],
        );
    }
    for name in ["/etc/passwd", "../x", "x", "Files/x", "C:\\x", "", "files"] {
        let bytes = zip(&[part("manifest.json", &manifest()), part("binary", BINARY), part(name, b"x")]);
        refused(&bytes, &["entry 2", "only \"files/…\""]);
    }
    let mut name = part("files/x", b"x");
    name.name[6] = 0xff;
    refused(&zip(&[part("manifest.json", &manifest()), part("binary", BINARY), name]), &["not UTF-8"]);
}

#[test]
fn names_that_stand_twice_or_out_of_order_are_refused() {
    let (first, second) = (part("manifest.json", &manifest()), part("binary", BINARY));
    let (a, b) = (part("files/a", b"alpha"), part("files/b", b"beta"));
    let order =
        |parts: &[&crate::forge::Part]| zip(&parts.iter().map(|part| (*part).clone()).collect::<Vec<_>>());
    refused(&order(&[&first, &second, &a, &a]), &["\"files/a\"", "twice"]);
    refused(&order(&[&first, &second, &second]), &["\"binary\"", "twice"]);
    refused(&order(&[&first, &second, &first]), &["\"manifest.json\"", "twice"]);
    refused(&order(&[&first, &first]), &["\"manifest.json\"", "the second must be"]);
    refused(&order(&[&second, &first]), &["\"binary\"", "the first must be"]);
    refused(&order(&[&first, &second, &b, &a]), &["\"files/a\"", "byte order"]);
    refused(&order(&[&first]), &["1 entries"]);
    refused(&order(&[]), &["0 entries"]);
}

#[test]
fn an_empty_program_is_refused() {
    refused(&bundle(&sign(document(b"", &[])), b"", &[]), &["\"binary\" is empty"]);
}

#[test]
fn sizes_that_do_not_fit_the_file_are_refused() {
    for size in [0u32, 6, 8, 1 << 20, (2 << 30) + 1, u32::MAX] {
        let mut bytes = honest();
        let (header, record) = (local(&bytes, "binary"), central(&bytes, "binary"));
        for at in [header + 18, header + 22, record + 20, record + 24] {
            bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
        }
        refused(&bytes, &[]);
    }
    let mut bytes = honest();
    let record = central(&bytes, "manifest.json");
    for at in [18, 22, record + 20, record + 24] {
        bytes[at..at + 4].copy_from_slice(&(5u32 << 20).to_le_bytes());
    }
    refused(&bytes, &["\"manifest.json\" has 5242880 bytes"]);
}

#[test]
fn a_directory_of_another_size_or_count_is_refused() {
    for (from_end, width) in [(14, 2), (12, 2), (10, 4)] {
        for value in [0u32, 1, 3, 5, 0xffff, 0xffff_ffff] {
            let mut bytes = honest();
            let at = bytes.len() - from_end;
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            refused(&bytes, &[]);
        }
    }
}

#[test]
fn what_is_no_file_is_no_spore() {
    let bench = Bench::new();
    let message = open(std::fs::File::open(bench.dir.path()).unwrap()).unwrap_err().to_string();
    assert!(message.contains("not a regular file"), "{message}");
    let message = open(std::fs::File::open("/dev/zero").unwrap()).unwrap_err().to_string();
    assert!(message.contains("not a regular file"), "{message}");
}
