//! A test binary on another kernel: Debian's, in qemu, with nothing in it but a shell, busybox and the binary.
//!
//! ```text
//! cargo xtask vm --kernel 13 --package membrane -- cgroup::
//!   debian   kernel and busybox from Debian's registry, through a private apt     (target/vm, kept)
//!   cargo    the tests as static programs
//!   cpio     both, and what was asked for beside them, as an initial file system
//!   qemu     boots it; `init` mounts what every program expects, runs the tests as root and switches off
//! ```
//! It needs `qemu-system-x86_64` and Debian's `apt-get` and `dpkg-deb`; no KVM, no root, and after the first time no network.

mod cpio;
mod debian;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use cpio::Archive;

const QEMU: &str = "qemu-system-x86_64";
/// One thread plays all processors: where several do, one now and then runs what another has replaced (the kernel panics of an
/// `int3` that was there while it changed its own code; qemu 7.2).
const ACCEL: &str = "tcg,thread=single";
/// All that qemu can do, but for an instruction by which Linux 6.12 allocates memory, and which loses the flags now and then.
const CPU: &str = "max,-cx16";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// As in the image that is shipped; without what only a debugger reads, for all of it goes through a slow machine's memory.
const FLAGS: &str =
    r#"-C target-feature=+crt-static -C strip=debuginfo --cfg getrandom_backend="linux_getrandom""#;
/// What tests start under other names than its own, or with options that it lacks; busybox can't be those.
const PROGRAMS: [&str; 4] = ["/bin/sh", "/bin/bash", "/bin/sleep", "/usr/bin/setsid"];
/// What `init` says last, before the exit status.
const ENDED: &str = "vm: exit ";

#[derive(clap::Args)]
pub struct Args {
    /// The Debian release whose cloud kernel is booted: 12 (Linux 6.1) or 13 (Linux 6.12)
    #[arg(long, value_parser = ["12", "13"], default_value = "13")]
    kernel: String,
    /// The package whose tests are run
    #[arg(long)]
    package: String,
    /// The integration tests of this name; without it, the unit tests of the library
    #[arg(long)]
    test: Option<String>,
    /// A file or folder of this machine to have there as well, at the same path; a program comes with its libraries
    #[arg(long, value_name = "PATH")]
    with: Vec<PathBuf>,
    /// Run the tests as an ordinary user, who has no cgroup
    #[arg(long)]
    bare: bool,
    /// The machine's memory in MiB
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Seconds until the machine is switched off, whatever it does
    #[arg(long, default_value_t = 900)]
    timeout: u64,
    /// What the test binary is called with: filters, --nocapture and the like
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs the tests; whether they passed.
pub fn run(root: &Path, args: &Args) -> Result<bool> {
    find_qemu()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let debian = debian::fetch(&target.join("vm"), &args.kernel)?;
    let built = build(root, args)?;
    let image = target.join(format!("vm/initramfs-{}", std::process::id()));
    let written = initramfs(&debian.busybox, &built, args).and_then(|archive| {
        std::fs::write(&image, archive).with_context(|| format!("writing {}", image.display()))
    });
    let result = written.and_then(|()| boot(&debian.kernel, &image, args));
    let _ = std::fs::remove_file(&image);
    result
}

fn find_qemu() -> Result<()> {
    match Command::new(QEMU).arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{QEMU} --version: {status}"),
        Err(error) => bail!(
            "{QEMU} can't be run ({error}): install it, with `apt-get install --no-install-recommends qemu-system-x86`"
        ),
    }
}

/// What cargo made.
struct Built {
    /// The program that runs the tests.
    tests: PathBuf,
    /// Other programs of the package, which the tests know by their paths.
    programs: Vec<PathBuf>,
    /// Where tests are run.
    cwd: PathBuf,
}

fn build(root: &Path, args: &Args) -> Result<Built> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--no-run", "--locked", "--target", TARGET, "--package", &args.package]);
    match &args.test {
        Some(test) => command.args(["--test", test]),
        None => command.arg("--lib"),
    };
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", FLAGS)
        .env_remove("RUSTFLAGS")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    ensure!(output.status.success(), "the tests of {} can't be built", args.package);
    let (mut tests, mut programs) = (None, Vec::new());
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Value = serde_json::from_slice(line).context("reading what cargo says")?;
        let Some(executable) = message["executable"].as_str() else { continue };
        if message["profile"]["test"] == true {
            let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
            tests = Some((PathBuf::from(executable), manifest.parent().unwrap_or(root).to_owned()));
        } else {
            programs.push(PathBuf::from(executable));
        }
    }
    let (tests, cwd) = tests.with_context(|| format!("cargo made no tests of {}", args.package))?;
    Ok(Built { tests, programs, cwd })
}

fn initramfs(busybox: &Path, built: &Built, args: &Args) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    archive.text("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")?;
    archive.text("/etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n")?;
    for folder in
        ["/usr/bin", "/usr/lib", "/usr/lib64", "/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/var/tmp"]
    {
        archive.folder(Path::new(folder))?;
    }
    let links = [
        ("/bin", "/usr/bin"),
        ("/sbin", "/usr/bin"),
        ("/usr/sbin", "/usr/bin"),
        ("/lib", "/usr/lib"),
        ("/lib64", "/usr/lib64"),
    ];
    for (link, to) in links {
        archive.link(Path::new(link), Path::new(to))?;
    }
    archive.file(Path::new("/bin/busybox"), busybox)?;
    archive.folder(&built.cwd)?;
    for path in [&built.tests].into_iter().chain(&built.programs) {
        archive.file(path, path)?;
    }
    let usual = PROGRAMS.iter().map(PathBuf::from).filter(|path| path.exists());
    for path in usual.chain(args.with.iter().cloned()) {
        let path = std::path::absolute(path)?;
        archive.tree(&path)?;
        for library in libraries(&path)? {
            archive.file(&library, &library)?;
        }
    }
    archive.text("/init", 0o755, &init(built, args)?)?;
    Ok(archive.end())
}

/// What a program is linked to; nothing for what is none. Lines are `name => /path (address)`, or `/path (address)`.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("running ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let paths =
        text.lines().filter_map(|line| line.split_ascii_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.filter(|path| !path.ends_with(':')).map(PathBuf::from).collect())
}

/// The first process.
fn init(built: &Built, args: &Args) -> Result<String> {
    let quoted = |path: &Path| -> Result<String> {
        Ok(quote(path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))?))
    };
    let words: Vec<String> = args.args.iter().map(|arg| quote(arg)).collect();
    let tests = format!("{} {}", quoted(&built.tests)?, words.join(" "));
    let tests = if args.bare { format!("su -s /bin/sh -c {} nobody", quote(&tests)) } else { tests };
    Ok(format!(
        "#!/bin/busybox sh
/bin/busybox --install -s /bin 2> /dev/null
# The first root of all can't be left for another, as a system's can: it becomes that of a mount.
if [ -z \"$ROOTED\" ]; then
mkdir /root-of-all && mount --bind / /root-of-all && cd /root-of-all && mount --move . / &&
ROOTED=1 exec chroot . /init
fi
export PATH=/usr/bin:/bin HOME=/root TMPDIR=/tmp RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for at in /tmp /run /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $at; done
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
ip link set lo up
cd {}
{tests} < /dev/null
echo \"{ENDED}$?\"
poweroff -f
",
        quoted(&built.cwd)?,
    ))
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Boots it, shows what it says, and reads the exit status from that.
fn boot(kernel: &Path, image: &Path, args: &Args) -> Result<bool> {
    let mut qemu = Command::new(QEMU)
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .args(["-accel", ACCEL, "-cpu", CPU, "-smp", "2", "-m", &args.memory.to_string()])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .args(["-append", "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("running qemu")?;
    let ended = watch(&mut qemu, Duration::from_secs(args.timeout));
    let _ = qemu.kill();
    let _ = qemu.wait();
    Ok(ended? == 0)
}

/// The exit status of what ran in the machine, which is off then or of no use any more.
fn watch(qemu: &mut Child, patience: Duration) -> Result<i32> {
    let serial = BufReader::new(qemu.stdout.take().context("qemu has no output")?);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        serial.split(b'\n').map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let deadline = Instant::now() + patience;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                if let Some(status) = line.strip_prefix(ENDED) {
                    return status.parse().with_context(|| format!("reading the exit status {status:?}"));
                }
                // a terminal that is gone is no reason to stop
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the machine ended before the tests did"),
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("the tests took over {patience:?} (--timeout)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        for word in ["plain", "it's", "a b", "$HOME `x` \\ \"", ""] {
            let output =
                Command::new("sh").args(["-c", &format!("printf %s {}", quote(word))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
