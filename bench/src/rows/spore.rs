//! Verify and extract: how fast a spore becomes a program that may run, beside what hashing alone can do.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use soul::SecretKey;
use types::{Digest, Timestamp};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};

const MEGABYTE: usize = 1 << 20;
/// The size of the program in the spore.
const MEGABYTES: usize = 256;

/// In turns: OpenSSL, without the file's digest, with it.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let dir = bench.dir.path().join("spore");
    fs::create_dir_all(&dir)?;
    let (file, digest) = pack(&dir)?;
    // the first run finds a folder without free pages, and the spore's own still on their way to disk
    extract(&file, None, &dir)?;
    let (mut openssl, mut plain, mut full) =
        (Series::new("openssl speed"), Series::new("mesh"), Series::new("mesh"));
    for _ in 0..bench.runs {
        bench.progress("verify and extract 256 MB");
        openssl.runs.push(openssl_speed()?);
        plain.runs.push(extract(&file, None, &dir)?);
        full.runs.push(extract(&file, Some(&digest), &dir)?);
    }
    fs::remove_dir_all(&dir)?;
    Ok(vec![
        Figure::new(
            "verify + extract 256 MB, without the file's digest, MB/s",
            plain,
            vec![openssl.clone()],
            Bar::ShareOfBest(0.9),
        ),
        Figure::new(
            "verify + extract 256 MB, with the file's digest, MB/s",
            full,
            vec![openssl],
            Bar::ShareOfBest(0.65),
        ),
    ])
}

fn pack(dir: &Path) -> Result<(std::path::PathBuf, Digest)> {
    let (binary, file) = (dir.join("binary"), dir.join("big.spore"));
    write_noise(&binary)?;
    let template = spore::Template::new(&"big".parse()?, "v0.1.0", "big")?;
    let source = spore::Source { binary: &binary, files: Vec::new(), created_at: Timestamp::from_secs(0) };
    let mut out = BufWriter::new(File::create(&file)?);
    let packed = spore::pack(&template, &source, &SecretKey::generate()?, &mut out)?;
    out.into_inner()?.sync_all()?;
    fs::remove_file(&binary)?;
    Ok((file, packed.digest))
}

/// Bytes that no file system can make smaller.
fn write_noise(path: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let (mut state, mut block) = (0x9e37_79b9_7f4a_7c15_u64, vec![0; MEGABYTE]);
    for _ in 0..MEGABYTES {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_ne_bytes());
        }
        out.write_all(&block)?;
    }
    Ok(out.flush()?)
}

/// Opens, checks and writes it; in MB/s.
#[expect(clippy::cast_precision_loss, reason = "256")]
fn extract(file: &Path, digest: Option<&Digest>, dir: &Path) -> Result<f64> {
    let into = dir.join("run");
    let since = Instant::now();
    let extracted = spore::open(File::open(file)?)?.extract(digest, &into)?;
    let seconds = since.elapsed().as_secs_f64();
    drop(extracted);
    fs::remove_dir_all(&into)?;
    Ok((MEGABYTES * MEGABYTE) as f64 / 1e6 / seconds)
}

/// SHA-256 of large blocks by OpenSSL, in MB/s.
fn openssl_speed() -> Result<f64> {
    let argv = ["speed", "-mr", "-seconds", "1", "-bytes", "262144", "-evp", "sha256"];
    let output = Command::new("openssl").args(argv).output().context("failed to run openssl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // +F:22:sha256:2190000000.00
    let speed = text.lines().find(|line| line.starts_with("+F:")).and_then(|line| line.rsplit(':').next());
    match speed.and_then(|speed| speed.parse::<f64>().ok()) {
        Some(bytes) => Ok(bytes / 1e6),
        None => bail!("openssl speed printed no figure: {text}"),
    }
}
