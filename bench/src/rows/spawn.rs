//! Spawn: from asking for a confined program to its running, and to its end, beside bubblewrap.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent::{Files, Profile};
use anyhow::{Context as _, Result, bail};
use membrane::bpf::Reach;
use membrane::{Keeper, KeeperConfig, KeeperEvent, Limits, LogLimits, Program, Skin, Spawn};

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};

/// The program: it ends at once.
const TRUE: &str = "/bin/true";
/// The longest wait for an end.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is like a workload's root for bubblewrap.
const ROOT: &str = "--unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
                    --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp";

/// In turns: a replica's surroundings, bubblewrap's.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(bench))
}

async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let dir = bench.dir.path().join("spawn");
    let own = dir.join("own");
    std::fs::create_dir_all(&own)?;
    let config = KeeperConfig {
        dir: dir.join("keeper"),
        program: bench.mesh.clone(),
        log_limits: LogLimits::default(),
    };
    let (keeper, _, mut events) = Keeper::attach(config).await?;
    let skin = skin(&own)?;
    let (mut running, mut ended, mut peer) =
        (Series::new("mesh"), Series::new("mesh"), Series::new("bubblewrap"));
    for run in 0..=bench.runs * 30 {
        bench.progress("a confined program, beside bubblewrap");
        let id = format!("spawn-{run}");
        let spawn = Spawn {
            id: id.clone(),
            program: Program::Path(TRUE.into()),
            arg0: TRUE.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: own.clone(),
            logs: dir.join("logs").join(&id),
            note: String::new(),
            skin: Some(skin.clone()),
            files: Vec::new(),
            limits: Some(Limits::default()),
        };
        let since = Instant::now();
        keeper.spawn(spawn).await?;
        let started = since.elapsed();
        let event = tokio::time::timeout(PATIENCE, events.next()).await?.context("the keeper is gone")?;
        let done = since.elapsed();
        match event {
            KeeperEvent::Exited { exit, .. } if exit.is_success() => {}
            other => bail!("{TRUE} ended otherwise: {other:?}"),
        }
        keeper.forget(&id).await?;
        let bubble = bubblewrap()?;
        // The first of each pays for what is touched for the first time.
        if run > 0 {
            running.runs.push(started.as_secs_f64() * 1e3);
            ended.runs.push(done.as_secs_f64() * 1e3);
            peer.runs.push(bubble.as_secs_f64() * 1e3);
        }
    }
    keeper.shutdown().await?;
    let (half, most) = (running.clone(), running);
    Ok(vec![
        Figure::new("confined program running, ms", half, vec![], Bar::AtMost(5.0)),
        Figure::new("confined program running, 99 of 100, ms", most, vec![], Bar::P99AtMost(15.0)),
        Figure::new("confined program ended, ms", ended, vec![peer], Bar::AtMostShare(0.7)),
    ])
}

/// What the profile `default` lets a workload reach.
fn skin(own: &std::path::Path) -> Result<Skin> {
    let text = Profile::text("default", own)?;
    let profile = Profile::read("default", &text)?;
    Ok(Skin {
        run: Files::there(&profile.files.run),
        read: Files::there(&profile.files.read),
        write: Files::there(&profile.files.write),
        own: vec![own.to_owned()],
        connect: Some(vec![1]),
        listen: vec![2],
        offline: false,
        reach: Some(Reach { tcp: vec![(None, 1)], udp: Vec::new(), listen: vec![2] }),
        host_name: "spawn".to_owned(),
        tmp_mb: profile.own.tmp_mb,
        by: profile.kept.by,
    })
}

fn bubblewrap() -> Result<Duration> {
    let since = Instant::now();
    let status = Command::new("bwrap")
        .args(ROOT.split_ascii_whitespace())
        .arg(TRUE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("failed to run bwrap (package bubblewrap)")?;
    let taken = since.elapsed();
    if status.success() { Ok(taken) } else { bail!("bwrap ended with {status}") }
}
