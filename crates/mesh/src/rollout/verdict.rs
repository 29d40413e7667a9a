//! Whether a rollout is done, on its way, or over: a plain function of an app's status.

use genome::{Endpoint, ReplicaState, Revision};
use mycelium::api::{AppState, AppStatus};

use crate::exit::Code;
use crate::failure::Failure;

/// A replica that crashed so often will not be ready soon.
const HOPELESS_RESTARTS: u32 = 2;

/// What a status means for a rollout.
#[derive(Debug)]
pub enum Verdict {
    /// It is as it should be.
    Done,
    /// It will not be, for this reason.
    Over(Failure),
    /// On its way: how far.
    Going(String),
    /// Nothing is on its way, for this reason.
    Stuck(String),
}

/// Judges the rollout of `revision` in the plan of `generation`.
pub fn judge(status: &AppStatus, generation: u64, revision: &Revision) -> Verdict {
    let app = &status.app_name;
    if status.generation > generation {
        let newer = format!("plan {} of {app} has replaced plan {generation}", status.generation);
        return Verdict::Over(Failure::new(newer).hint("somebody else changed it; `mesh status` shows it"));
    }
    let counts = || format!("{}/{} ready", status.ready, status.wanted);
    let progress = status.rollout.clone().unwrap_or_else(counts);
    if status.generation < generation {
        return Verdict::Going(progress);
    }
    let current = status.revision == *revision;
    match status.state {
        AppState::Stopped => Verdict::Done,
        AppState::Ready | AppState::Completed | AppState::Asleep if current => Verdict::Done,
        AppState::RolledBack if !current => Verdict::Over(rolled_back(status)),
        AppState::Degraded => degraded(status, revision, progress),
        AppState::Ready
        | AppState::Completed
        | AppState::Asleep
        | AppState::RolledBack
        | AppState::Progressing => Verdict::Going(progress),
    }
}

fn degraded(status: &AppStatus, revision: &Revision, progress: String) -> Verdict {
    let ours = || status.replicas.iter().filter(|replica| replica.revision == *revision);
    let on_the_way = |replica: &Endpoint| {
        matches!(replica.state, ReplicaState::Pulling | ReplicaState::Verifying | ReplicaState::Launching)
            || (replica.state == ReplicaState::Backoff && replica.restarts < HOPELESS_RESTARTS)
    };
    if ours().any(on_the_way) {
        return Verdict::Going(progress);
    }
    if let Some(replica) = ours().find(|replica| replica.state == ReplicaState::Refused) {
        return Verdict::Over(
            Failure::new(format_args!("{} refused it: {}", replica.node_id, replica.message))
                .code(Code::Refused)
                .hint("the plan waits: as soon as the reason is gone it is carried out"),
        );
    }
    Verdict::Stuck(status.message.clone())
}

fn rolled_back(status: &AppStatus) -> Failure {
    let app = &status.app_name;
    let failure =
        Failure::new(format_args!("{app} was rolled back to {}: {}", status.version, status.message));
    failure
        .code(Code::RolledBack)
        .hint(format_args!("`mesh logs {app}` shows what it wrote, `mesh why {app}` why"))
}

#[cfg(test)]
mod tests;
