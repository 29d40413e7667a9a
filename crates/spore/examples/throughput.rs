//! Measures verify and extract against the SHA-256 of this machine: `cargo run --release -p spore --example throughput [DIR [MIB…]]`.
//!
//! Prints medians of several runs, page cache warm; compare the first line to `openssl speed -evp sha256`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool for a terminal")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use ed25519_dalek::Signer as _;
use spore::{Source, Template, open, pack};
use types::{Digest, PublicKey, SignError, Signature, Timestamp};

const RUNS: usize = 15;

struct Key(ed25519_dalek::SigningKey);

impl types::Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let base = args.next().map_or_else(std::env::temp_dir, Into::into);
    let mut sizes: Vec<u32> = args.map(|mib| mib.parse().unwrap()).collect();
    if sizes.is_empty() {
        sizes = vec![3, 24, 256];
    }
    let dir = tempfile::tempdir_in(base).unwrap();
    let block = vec![0xa5; 256 << 20];
    let hash = median(|| Digest::of(&block));
    report("sha256 of 256 MiB in memory", block.len(), hash, hash);
    drop(block);
    for mib in sizes {
        measure(dir.path(), mib, hash * mib / 256);
    }
}

fn measure(dir: &Path, mib: u32, bare: Duration) {
    let binary = dir.join("binary");
    let mut out = File::create(&binary).unwrap();
    for at in 0..mib {
        out.write_all(&vec![at.to_le_bytes()[0]; 1 << 20]).unwrap();
    }
    let template = Template::new(&"bench".parse().unwrap(), "v0.0.0", "bench").unwrap();
    let source = Source { binary: &binary, files: Vec::new(), created_at: Timestamp::default() };
    let path = dir.join("bench.spore");
    let key = Key(ed25519_dalek::SigningKey::from_bytes(&[1; 32]));
    let packed = pack(&template, &source, &key, &mut File::create(&path).unwrap()).unwrap();
    let size = usize::try_from(packed.bytes).unwrap();
    let opened = || open(File::open(&path).unwrap()).unwrap();
    let run = dir.join("run");
    for (what, digest) in [("without", None), ("with", Some(&packed.digest))] {
        let verify = median(|| opened().verify(digest).unwrap());
        report(&format!("verify  {mib:3} MiB {what} the file's digest"), size, verify, bare);
        let extract = timed(|| {
            let start = Instant::now();
            let extracted = opened().extract(digest, &run).unwrap();
            let took = start.elapsed();
            drop(extracted);
            fs::remove_dir_all(&run).unwrap();
            took
        });
        report(&format!("extract {mib:3} MiB {what} the file's digest"), size, extract, bare);
    }
}

fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    timed(|| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    })
}

fn timed(mut work: impl FnMut() -> Duration) -> Duration {
    let mut took: Vec<Duration> = (0..RUNS).map(|_| work()).collect();
    took.sort();
    took[RUNS / 2]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(what: &str, bytes: usize, took: Duration, bare: Duration) {
    let (rate, ratio) = (bytes as f64 / took.as_secs_f64() / 1e9, bare.as_secs_f64() / took.as_secs_f64());
    println!("{what:44} {:9.3} ms {rate:6.2} GB/s  {ratio:5.2} of bare sha256", took.as_secs_f64() * 1e3);
}
