//! A container image of nothing but the one binary, as an archive that `docker load`, `podman load` and `skopeo` take.
//!
//! ```text
//! mesh.tar   oci-layout, index.json        the OCI layout: manifest ─▶ config, layer
//!            manifest.json                 the same for `docker load`
//!            blobs/sha256/...              manifest, config, layer (a tar with `/mesh`, `/tmp` and a list of users)
//! ```
//! Same binary and `SOURCE_DATE_EPOCH`, same bytes: nothing of the machine, the time or the user goes in.

mod tar;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use tar::Tar;

/// What it is built for: with the C library inside, so that nothing else has to be in the image.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// In a static program `getrandom` can't look its system call up, and would read `/dev/urandom`, which may be absent.
const FLAGS: &str = r#"-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom""#;
/// The name that the image is loaded under, before its tag.
const NAME: &str = "mycelium/mesh";
/// Root is the only user: workloads get numbers, and a shell is not there to be logged in to.
const USERS: &str = "root:x:0:0:root:/:/mesh\n";
const GROUPS: &str = "root:x:0:\n";

#[derive(clap::Args)]
pub struct Args {
    /// Where the archive goes
    #[arg(long, value_name = "FILE", default_value = "target/mesh-image.tar")]
    out: PathBuf,
    /// Put this binary in instead of building one; it must be linked statically
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Builds the image and says what it is.
pub fn run(root: &Path, args: &Args) -> Result<String> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let bytes = std::fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    ensure!(is_static(&bytes), "{} is no static program for x86-64 Linux", binary.display());
    let version = version(&binary)?;
    let image = Image::of(&bytes, &version, epoch(root)?)?;
    let out = root.join(&args.out);
    let file = File::create(&out).with_context(|| format!("creating {}", out.display()))?;
    image.write(BufWriter::new(file)).with_context(|| format!("writing {}", out.display()))?;
    Ok(format!("{NAME}:{version} sha256:{} in {}", image.manifest.digest, out.display()))
}

/// The static binary, as it is shipped.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--package",
            "mesh",
            "--bin",
            "mesh",
            "--profile",
            "dist",
            "--locked",
            "--target",
            TARGET,
        ])
        // Of flags in the environment there is only one set; those for the target leave build scripts alone.
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", FLAGS)
        .env_remove("RUSTFLAGS")
        .current_dir(root)
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "cargo build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join("dist/mesh"))
}

/// Its identity, `v{semver}-{sha}`, in its own words.
fn version(binary: &Path) -> Result<String> {
    let output =
        Command::new(binary).arg("--version").output().context("asking the binary for its version")?;
    let said = String::from_utf8(output.stdout)?;
    let version = said.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    ensure!(version.starts_with('v') && version.chars().all(fits), "the binary says {said:?} of its version");
    Ok(version)
}

/// The time of everything in it: `SOURCE_DATE_EPOCH`, or that of the commit.
fn epoch(root: &Path) -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given.parse().context("SOURCE_DATE_EPOCH is a number of seconds");
    }
    let output = Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root).output()?;
    String::from_utf8(output.stdout)?
        .trim()
        .parse()
        .context("set SOURCE_DATE_EPOCH: there is no commit to take the time of")
}

/// Whether this is an executable for x86-64 that names no interpreter (`PT_INTERP`, System V ABI).
fn is_static(elf: &[u8]) -> bool {
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = elf.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let headers = || {
        let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|n| number(start + n * size, 4)).collect::<Option<Vec<_>>>()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && number(18, 2) == Some(62)
        && headers().is_some_and(|kinds| !kinds.contains(&3))
}

/// A blob and its SHA-256.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest, bytes }
    }

    fn of_json(value: &Value) -> Result<Self> {
        Ok(Self::of(serde_json::to_vec(value)?))
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    /// As others refer to it (OCI image specification, descriptor).
    fn described(&self, kind: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

/// An image, in memory: its layer is one binary.
struct Image {
    tag: String,
    epoch: u64,
    layer: Blob,
    config: Blob,
    manifest: Blob,
}

impl Image {
    fn of(binary: &[u8], version: &str, epoch: u64) -> Result<Self> {
        let mut tar = Tar::new(Vec::new(), epoch);
        tar.folder("etc", 0o755)?;
        tar.file("etc/group", 0o644, GROUPS.as_bytes())?;
        tar.file("etc/passwd", 0o644, USERS.as_bytes())?;
        tar.file("mesh", 0o755, binary)?;
        // Programs make what is temporary there.
        tar.folder("tmp", 0o1777)?;
        let layer = Blob::of(tar.end()?);
        let labels = json!({
            "org.opencontainers.image.title": "mesh",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        });
        let config = Blob::of_json(&json!({
            "architecture": "amd64",
            "os": "linux",
            "created": rfc3339(epoch),
            "config": {
                "Entrypoint": ["/mesh"],
                "Cmd": ["run"],
                "Env": ["HOME=/", "PATH=/", "MESH_STATE=/var/lib/mesh"],
                "Labels": labels,
                "StopSignal": "SIGTERM",
                "Volumes": { "/var/lib/mesh": {} },
                "WorkingDir": "/",
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)] },
        }))?;
        let manifest = Blob::of_json(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.described("config.v1+json"),
            "layers": [layer.described("layer.v1.tar")],
            "annotations": labels,
        }))?;
        Ok(Self { tag: version.to_owned(), epoch, layer, config, manifest })
    }

    /// Writes the archive.
    fn write(&self, to: impl std::io::Write) -> Result<()> {
        let mut described = self.manifest.described("manifest.v1+json");
        let name = format!("{NAME}:{}", self.tag);
        described["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        described["annotations"] = json!({
            "io.containerd.image.name": format!("docker.io/{name}"),
            "org.opencontainers.image.ref.name": self.tag,
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [described],
        });
        let docker =
            json!([{ "Config": self.config.path(), "RepoTags": [name], "Layers": [self.layer.path()] }]);
        let mut tar = Tar::new(to, self.epoch);
        tar.folder("blobs", 0o755)?;
        tar.folder("blobs/sha256", 0o755)?;
        let mut blobs = [&self.layer, &self.config, &self.manifest];
        blobs.sort_by_key(|blob| &blob.digest);
        for blob in blobs {
            tar.file(&blob.path(), 0o644, &blob.bytes)?;
        }
        tar.file("index.json", 0o644, &serde_json::to_vec(&index)?)?;
        tar.file("manifest.json", 0o644, &serde_json::to_vec(&docker)?)?;
        tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar.end()?.flush()?;
        Ok(())
    }
}

/// A time, by the Gregorian calendar (after Hinnant's `civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
