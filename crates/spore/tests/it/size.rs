//! A program of 1 GiB: memory stays constant while it is packed, verified and extracted.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::Path;

use spore::{Source, open, pack};
use types::Timestamp;

use crate::support::{Bench, key, template};

/// As much as is ever written at once.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Writes zeros as holes, so that a gigabyte costs no disk.
struct Holes(File);

impl Write for Holes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *bytes == ZEROS[..bytes.len()] {
            self.0.seek(SeekFrom::Current(i64::try_from(bytes.len()).unwrap()))?;
            return Ok(bytes.len());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The most memory this process ever had resident, in KiB, since the last reset.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The other tests run in this process too, but none holds more than a few MiB.
#[test]
fn a_gigabyte_takes_constant_memory() {
    // Holes cost no page cache either where a tmpfs is at hand.
    let bench = Bench::in_folder(if Path::new("/dev/shm").is_dir() {
        "/dev/shm".into()
    } else {
        std::env::temp_dir()
    });
    let binary = bench.dir.path().join("huge");
    File::create(&binary).unwrap().set_len(1 << 30).unwrap();
    let source = Source { binary: &binary, files: Vec::new(), created_at: Timestamp::default() };
    let path = bench.dir.path().join("huge.spore");
    let before = peak();
    let packed = pack(&template(), &source, &key(1), &mut Holes(File::create(&path).unwrap())).unwrap();
    let spore = open(File::open(&path).unwrap()).unwrap();
    assert_eq!(spore.binary_size(), 1 << 30);
    spore.verify(Some(&packed.digest)).unwrap();
    let grown = peak() - before;
    assert!(grown < 64 << 10, "{grown} KiB more for a program of 1 GiB");
}

#[test]
fn a_program_beyond_the_bound_is_not_packed() {
    let bench = Bench::new();
    let binary = bench.dir.path().join("huger");
    File::create(&binary).unwrap().set_len(spore::bounds::MAX_CONTENT_BYTES + 1).unwrap();
    let source = Source { binary: &binary, files: Vec::new(), created_at: Timestamp::default() };
    let message = pack(&template(), &source, &key(1), &mut Vec::new()).unwrap_err().to_string();
    assert!(message.contains("larger than 2 GiB"), "{message}");
}
