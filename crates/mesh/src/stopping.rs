//! Ending the mesh of a state, whatever is left of it, and saying what that was.

use std::fs::File;
use std::io;
use std::path::Path;

use membrane::{Keeper, KeeperConfig, LogLimits};
use mycelium::Paths;
use mycelium::client::{Client, ClientError};
use rustix::fs::{FlockOperation, flock};

use crate::context::Context;
use crate::daemon::program;
use crate::failure::Failure;
use crate::process::Process;
use crate::progress::Step;
use crate::signals::Asked;

/// Ends a mesh that answers, and waits for its end. When we are asked to end meanwhile, it is hurried.
pub async fn stop(context: &Context, client: &Client, pid: u32, asked: &Asked) -> Result<(), Failure> {
    let process = Process::of(pid)?;
    let step = Step::start(&context.out, "stopping the mesh");
    match client.stop().await {
        Ok(_) | Err(ClientError::NotRunning(_) | ClientError::Protocol { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    end(&process, asked).await;
    step.done("the mesh has ended");
    Ok(())
}

/// Waits for the end of a process that was asked to end.
async fn end(process: &Process, asked: &Asked) {
    let again = asked.clone().times(asked.count().saturating_add(1));
    tokio::select! {
        () = process.ended() => return,
        () = again => process.hurry(),
    }
    process.ended().await;
}

/// Ends what is left where no mesh answers: one that doesn't serve yet, a keeper, its workloads, strays.
/// Says what it ended; `None` when there was nothing.
pub async fn sweep(context: &Context, paths: &Paths, asked: &Asked) -> Result<Option<String>, Failure> {
    if let Some(pid) = lock_holder(&paths.lock()) {
        let process = Process::of(pid)?;
        let step = Step::start(&context.out, "stopping the mesh, which doesn't answer");
        process.ask();
        end(&process, asked).await;
        step.over();
        let left = keeper(paths).await?;
        tidy(paths);
        return Ok(Some(format!("process {pid}, which did not answer{}", and(left))));
    }
    let left = keeper(paths).await?;
    tidy(paths);
    Ok(left)
}

/// Removes the socket and the run folders that a killed mesh left, unless another one has started meanwhile.
fn tidy(paths: &Paths) {
    let Ok(lock) = File::open(paths.lock()) else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        // The next mesh would clear both, too: what can't be removed is no reason to fail.
        let _ = std::fs::remove_file(paths.socket());
        let _ = std::fs::remove_dir_all(paths.run());
    }
}

/// Ends a keeper with its workloads, or the workloads that a killed keeper left.
async fn keeper(paths: &Paths) -> Result<Option<String>, Failure> {
    let dir = paths.keeper();
    match membrane::reap_strays(&dir) {
        Ok(0) => return Ok(None),
        Ok(strays) => return Ok(Some(format!("{strays} processes that no keeper held any more"))),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        Err(error) => {
            return Err(Failure::new(format_args!(
                "failed to look for workloads of {}: {error}",
                dir.display()
            )));
        }
    }
    let config = KeeperConfig { dir, program: program()?, log_limits: LogLimits::default() };
    let (keeper, processes, _events) = Keeper::attach(config).await?;
    let alive = processes.iter().filter(|process| process.exit.is_none()).count();
    let pid = keeper.pid();
    keeper.shutdown().await?;
    Ok(Some(format!("the keeper (process {pid}) and {alive} replicas")))
}

/// The process that holds the lock of the state, when one does.
fn lock_holder(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => std::fs::read_to_string(path).ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn and(left: Option<String>) -> String {
    left.map(|left| format!(", and {left}")).unwrap_or_default()
}
