//! Kernel and busybox from Debian's registry, through an apt with folders of its own: it changes nothing of this machine
//! and checks what it fetches against Debian's keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};

/// The package that depends on the newest cloud kernel.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is booted.
pub struct Debian {
    pub kernel: PathBuf,
    pub busybox: PathBuf,
}

/// What was fetched before, or is now.
pub fn fetch(folder: &Path, release: &str) -> Result<Debian> {
    let folder = folder.join(format!("debian-{release}"));
    let found = Debian { kernel: folder.join("vmlinuz"), busybox: folder.join("busybox") };
    if found.kernel.exists() && found.busybox.exists() {
        return Ok(found);
    }
    let suite = if release == "12" { "bookworm" } else { "trixie" };
    eprintln!("fetching the cloud kernel of Debian {release} ({suite})");
    let apt = Apt::new(&folder, suite)?;
    let kernel = apt.kernel()?;
    let unpacked = folder.join("unpacked");
    for package in [&kernel, BUSYBOX] {
        apt.unpack(package, &unpacked)?;
    }
    let image = unpacked.join(kernel.replacen("linux-image-", "boot/vmlinuz-", 1));
    let busybox = ["usr/bin/busybox", "bin/busybox"].map(|path| unpacked.join(path));
    let busybox = busybox.into_iter().find(|path| path.exists()).context("the package holds no busybox")?;
    for (from, to) in [(busybox, &found.busybox), (image, &found.kernel)] {
        std::fs::rename(&from, to).with_context(|| format!("looking for {}", from.display()))?;
    }
    std::fs::remove_dir_all(&unpacked).context("tidying up")?;
    Ok(found)
}

struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Knows what there is.
    fn new(folder: &Path, suite: &str) -> Result<Self> {
        ensure!(
            Path::new(KEYS).exists(),
            "{KEYS} is missing: this needs Debian, or its package debian-archive-keyring"
        );
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(folder.join(part))
                .with_context(|| format!("making {}", folder.display()))?;
        }
        let folder = folder.canonicalize()?;
        let list = folder.join("sources.list");
        std::fs::write(&list, format!("deb [arch=amd64 signed-by={KEYS}] {MIRROR} {suite} main\n"))?;
        let set = |name: &str, value: &Path| format!("-o{name}={}", value.display());
        let options = vec![
            set("Dir::Etc::SourceList", &list),
            set("Dir::Etc::SourceParts", Path::new("/dev/null")),
            set("Dir::State::Lists", &folder.join("lists")),
            set("Dir::State::status", Path::new("/dev/null")),
            set("Dir::Cache", &folder.join("cache")),
            "-oAPT::Architecture=amd64".to_owned(),
            "-oAPT::Sandbox::User=".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
        ];
        let apt = Self { folder, options };
        apt.run("apt-get", &["update", "--quiet", "--error-on=any"])?;
        Ok(apt)
    }

    /// The name of the kernel's own package.
    fn kernel(&self) -> Result<String> {
        let output = self.run("apt-cache", &["depends", "--important", KERNEL])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let named = text.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        let name = named.with_context(|| format!("Debian's {KERNEL} depends on no kernel"))?;
        Ok(format!("linux-image-{name}"))
    }

    fn unpack(&self, package: &str, to: &Path) -> Result<()> {
        let fetched = self.folder.join(format!("fetched-{package}"));
        std::fs::create_dir_all(&fetched)?;
        let mut download = Command::new("apt-get");
        output(download.args(&self.options).args(["download", "--quiet", package]).current_dir(&fetched))?;
        let deb = std::fs::read_dir(&fetched)?.next().context("apt-get fetched nothing")??.path();
        output(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(to))?;
        std::fs::remove_dir_all(&fetched).context("tidying up")
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        output(Command::new(program).args(&self.options).args(args))
    }
}

/// Runs it to its end; an error has its own words.
fn output(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            bail!("{program} can't be run ({error}): Debian's packages are fetched and opened with it")
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(output)
}
