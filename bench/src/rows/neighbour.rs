//! Neighbour: what a workload notices of another that wants everything, and how soon that one is gone.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use membrane::{
    Events, Exit, Keeper, KeeperConfig, KeeperError, KeeperEvent, Limits, LogLimits, Program, Spawn,
};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series, number};
use crate::load::{self, Load, Pace, Target};
use crate::machine;
use crate::peers::{free_port, local};
use crate::process::{adopt, pause, release};

/// Who wants what. Each ends by itself as well, should nobody end it.
const OFFENDERS: [(&str, &str); 5] = [
    ("memory", "stress-ng --quiet --timeout 60 --vm 4 --vm-bytes 1G --vm-keep"),
    ("forks", "stress-ng --quiet --timeout 60 --fork 8 --fork-max 100"),
    ("CPU", "stress-ng --quiet --timeout 60 --cpu 8"),
    ("disk", "stress-ng --quiet --timeout 60 --hdd 2 --hdd-bytes 256M"),
    ("log", "timeout 60 yes a flood of output"),
];
/// As many processes as a tree has beside its first.
const TREE: u32 = 1000;
const MIB: u64 = 1 << 20;
/// What of a CPU is each one's own, in thousandths.
const BASELINE: u32 = 1000;
/// How often it is looked who uses it, as an agent does.
const EVERY: Duration = Duration::from_secs(1);
/// How long after its second end a workload is started again, as by an agent; at once after the first, later and later after
/// the others.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Requests a second to the neighbour.
const RATE: u32 = 1_000;
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A keeper, and what runs under it.
pub(super) struct Street {
    pub(super) keeper: Keeper,
    events: Events,
    dir: std::path::PathBuf,
    /// What each had used of the CPU when it was last looked at, in microseconds.
    used: BTreeMap<String, u64>,
}

/// A neighbour alone, then beside each offender, in turns.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    ensure!(machine::has_program("stress-ng"), "stress-ng is missing: bench/setup installs it");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(neighbour(bench))
}

/// A tree of processes, from the order to kill it until its end is told.
pub fn tree(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut street = Street::open(bench, "tree").await?;
        let mut gone = Series::new("mesh");
        let script = format!("for n in $(seq {TREE}); do sleep 600 & done; echo all; wait");
        for run in 0..bench.runs {
            bench.progress("a tree of a thousand processes");
            let limits = Limits { pids: 2 * TREE, ..Limits::default() };
            let id = format!("tree-{run}");
            street.spawn(&id, "/bin/sh", &["-c", &script], &[], limits).await?;
            let logs = street.dir.join("logs").join(&id);
            let since = Instant::now();
            while membrane::tail(&logs, 1)?.is_empty() {
                ensure!(since.elapsed() < PATIENCE, "no tree after {PATIENCE:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            gone.runs.push(street.kill(&id).await?.as_secs_f64() * 1e3);
        }
        street.close().await?;
        let figure = Figure::new("a tree of 1,000 processes stopped, ms", gone, vec![], Bar::AtMost(200.0));
        Ok(vec![figure.note("from the order until the end is told, when none is left")])
    })
}

async fn neighbour(bench: &Bench) -> Result<Vec<Figure>> {
    let mut street = Street::open(bench, "neighbour").await?;
    let port = free_port()?;
    let limits = Limits { cpu_milli: BASELINE, memory: 64 * MIB, first: true, ..Limits::default() };
    let program = bench.billing.to_string_lossy();
    street.spawn("neighbour", &program, &[], &[("PORT", &port.to_string())], limits).await?;
    let address = local(port);
    reachable(address)?;
    let (mut figures, mut gone, mut lost) = (Vec::new(), Series::new("mesh"), 0.0);
    for (what, command) in OFFENDERS {
        let (mut quiet, mut loud) = (Series::new("alone"), Series::new("mesh"));
        let (mut failed, mut seen) = (0, [Series::new(""), Series::new("")]);
        for run in 0..bench.runs {
            bench.progress(&format!("a neighbour beside one that wants all {what}"));
            let load = |core| drive(address, core, bench.long());
            let tally = tokio::task::block_in_place(|| load(bench.cores.load))?;
            quiet.runs.push(tally.latency.micros(0.99));
            seen[0].runs.push(tally.seen.micros(0.99));
            failed += tally.failed();
            let load = bench.long();
            let core = bench.cores.load;
            let driven = tokio::task::spawn_blocking(move || drive(address, core, load));
            let (tally, took, others) = street.offend(&format!("{what}-{run}"), command, driven).await?;
            loud.runs.push(tally.latency.micros(0.99));
            seen[1].runs.push(tally.seen.micros(0.99));
            failed += tally.failed();
            gone.runs.extend(took.map(|took| took.as_secs_f64()));
            lost += others;
        }
        let name = format!("p99 beside one that wants all {what}, us");
        let [before, beside] = seen.map(|seen| seen.median());
        let mut note = format!(
            "with what the load itself waits for its core: {} alone {}, {:.2} x",
            number(beside),
            number(before),
            beside / before
        );
        if failed > 0 {
            note.push_str(&format!("; {failed} requests failed"));
        }
        figures.push(Figure::new(name, loud, vec![quiet], Bar::AtMostShare(2.0)).note(note));
    }
    street.close().await?;
    figures.push(Figure::new("the offender's tree gone, s", gone, vec![], Bar::P99AtMost(1.0)));
    let lost = Series::single("mesh", lost);
    figures.push(Figure::new("others that ended meanwhile", lost, vec![], Bar::AtMost(0.0)));
    Ok(figures)
}

impl Street {
    pub(super) async fn open(bench: &Bench, name: &str) -> Result<Self> {
        let dir = bench.dir.path().join(name);
        std::fs::create_dir_all(&dir)?;
        let config = KeeperConfig {
            dir: dir.join("keeper"),
            program: bench.mesh.clone(),
            log_limits: LogLimits::default(),
        };
        let (keeper, _, events) = Keeper::attach(config).await?;
        adopt(keeper.pid());
        let budgets = keeper.budgets().context("the keeper is too old")?;
        for hold in [&budgets.cpu, &budgets.memory, &budgets.pids, &budgets.kill] {
            if let membrane::Hold::Not(why) = hold {
                bail!("this machine holds nobody to a budget: {why}");
            }
        }
        Ok(Self { keeper, events, dir, used: BTreeMap::new() })
    }

    pub(super) async fn spawn(
        &self,
        id: &str,
        program: &str,
        args: &[&str],
        env: &[(&str, &str)],
        limits: Limits,
    ) -> Result<()> {
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.keeper
            .spawn(Spawn {
                id: id.to_owned(),
                program: Program::Path(program.into()),
                arg0: program.to_owned(),
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                env: env.chain([path]).collect(),
                cwd: self.dir.clone(),
                logs: self.dir.join("logs").join(id),
                note: String::new(),
                skin: None,
                files: Vec::new(),
                limits: Some(limits),
            })
            .await?;
        Ok(())
    }

    /// The offender, started again after it has ended as an agent does it, until the load is done; then it is killed, if it
    /// runs: how long that takes, and how many others have ended.
    async fn offend(
        &mut self,
        id: &str,
        command: &str,
        mut driven: tokio::task::JoinHandle<Result<load::Tally>>,
    ) -> Result<(load::Tally, Option<Duration>, f64)> {
        let words: Vec<&str> = command.split(' ').collect();
        let limits = Limits { cpu_milli: BASELINE, memory: 256 * MIB, first: true, ..Limits::default() };
        let program = format!("/usr/bin/{}", words[0]);
        self.spawn(id, &program, &words[1..], &[], limits).await?;
        let (mut others, mut pause, mut again) = (0.0, Duration::ZERO, None);
        let mut every = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => self.tend().await?,
                () = tokio::time::sleep_until(again.unwrap_or_else(tokio::time::Instant::now)), if again.is_some() => {
                    again = None;
                    self.spawn(id, &program, &words[1..], &[], limits).await?;
                }
                tally = &mut driven => {
                    let tally = tally??;
                    let took = if again.is_none() { Some(self.kill(id).await?) } else { None };
                    return Ok((tally, took, others));
                }
                event = self.events.next() => match event {
                    Some(KeeperEvent::Exited { id: ended, .. }) if ended == id => {
                        self.keeper.forget(id).await?;
                        again = Some(tokio::time::Instant::now() + pause);
                        pause = (pause * 2).max(FIRST_PAUSE);
                    }
                    Some(KeeperEvent::Exited { .. }) => others += 1.0,
                    _ => bail!("the keeper is gone"),
                },
            }
        }
    }

    /// What an agent does: whoever uses what is its own goes first no more, as the books have it.
    async fn tend(&mut self) -> Result<()> {
        let mut now = BTreeMap::new();
        for used in self.keeper.usages("").await? {
            let cpu = used.usage.cpu_usec.context("nobody counts the CPU")?;
            if let Some(before) = self.used.get(&used.id) {
                let milli = cpu.saturating_sub(*before) * 1000 / u64::try_from(EVERY.as_micros())?;
                let first = nutrients::goes_first(used.limits.first, u64::from(used.limits.cpu_milli), milli);
                if first != used.limits.first {
                    match self.keeper.set_limits(&used.id, Limits { first, ..used.limits }).await {
                        // it has ended meanwhile
                        Ok(()) | Err(KeeperError::Unknown { .. } | KeeperError::Refused { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            now.insert(used.id, cpu);
        }
        self.used = now;
        Ok(())
    }

    /// From the order to kill it until its end is told and nothing of it is left.
    pub(super) async fn kill(&mut self, id: &str) -> Result<Duration> {
        let since = Instant::now();
        self.keeper.kill(id).await?;
        let ended = tokio::time::timeout(PATIENCE, self.events.next()).await?;
        match ended {
            Some(KeeperEvent::Exited { id: ended, exit: Exit::Signal(9), .. }) if ended == id => {}
            other => bail!("{other:?} instead of the end of {id}"),
        }
        self.keeper.forget(id).await?;
        let left = |file: &Path| file.join(id).exists();
        let record = std::fs::read_to_string(self.dir.join("keeper/cgroups"))?;
        // A group of v1 may keep its dead for a moment after their end was told.
        while record.lines().any(|folder| left(Path::new(folder))) {
            ensure!(since.elapsed() < PATIENCE, "something of {id} is left");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(since.elapsed())
    }

    pub(super) async fn close(self) -> Result<()> {
        let pid = self.keeper.pid();
        self.keeper.shutdown().await?;
        release(pid);
        Ok(())
    }
}

fn drive(address: SocketAddr, core: usize, duration: Duration) -> Result<load::Tally> {
    let target = Target::new(address, "/hello", "from billing");
    let warmup = Duration::from_millis(500);
    let load = Load {
        connections: 16,
        pace: Pace::Open(RATE.into()),
        warmup,
        duration,
        core: Some(core),
        judge: None,
        remote: true,
    };
    // on a thread of its own, since it is bound to a core and we are not
    let run = std::thread::spawn(move || {
        first_in_line()?;
        load::run(&target, &load, |_| false).context("the load")
    });
    run.join().ok().context("the load panicked")?
}

/// Has this thread run whenever it wants to, as if it were on another machine: what it waits for is the neighbour.
fn first_in_line() -> Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--fifo", "--pid", "1", &thread]).status().context("run chrt")?;
    ensure!(status.success(), "chrt ended with {status}: real time takes root");
    Ok(())
}

fn reachable(address: SocketAddr) -> Result<()> {
    let since = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(since.elapsed() < PATIENCE, "nobody listens at {address}");
        pause(Duration::from_millis(5));
    }
    Ok(())
}
