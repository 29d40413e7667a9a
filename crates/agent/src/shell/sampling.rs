//! Reading what replicas use: one call for all of them, in a task, so that a busy keeper holds up nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use membrane::{KeeperError, Limits, Used};
use tokio::time::Instant;

use super::keeping::{key, launch_of, prefix};
use super::sizing::Sizes;
use super::{Report, Shell};
use crate::books::Deed;
use crate::core::LaunchId;
use crate::sample::{Sample, Samples};

/// How long after a keeper that can't tell is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

impl Shell {
    /// Whether there is anybody to ask about, and nobody asks.
    pub(super) fn samples(&self) -> bool {
        !self.sampling && (self.core.running().next().is_some() || self.books.is_busy())
    }

    /// Asks the keeper what the replicas of this node use.
    pub(super) fn sample(&mut self) {
        self.sampling = true;
        let keeper = self.keeper.borrow().keeper.clone();
        let (prefix, reporter) = (prefix(&self.config.node.node_id), self.reporter.clone());
        self.tasks.spawn(async move {
            // Nobody listens any more once the agent has ended.
            let _ = reporter.send(Report::Used(keeper.usages(&prefix).await));
        });
    }

    /// Hands out what the keeper told.
    pub(super) fn sampled(&mut self, told: Result<Vec<Used>, KeeperError>) {
        self.sampling = false;
        let used = match told {
            Ok(used) => used,
            Err(error) => {
                let lost = matches!(error, KeeperError::Lost);
                if !lost {
                    tracing::warn!(node = %self.config.node.node_id, %error, "failed to read what replicas use");
                }
                let wait = if lost { self.config.timing.sample_every } else { ASK_AGAIN };
                self.sample_at = Instant::now() + wait;
                return;
            }
        };
        let now = self.now();
        let (replicas, sizes) = self.of_launches(used);
        self.sample_at = Instant::now() + self.config.timing.next_sample(replicas.len());
        let mut samples = Samples { at: Some(now.wall), mono: now.mono, replicas, apps: BTreeMap::new() };
        self.learn(&samples);
        self.size(&mut samples, sizes);
        self.nourish(&mut samples);
        self.sampled.send_replace(Arc::new(samples));
    }

    /// Works out what follows from what was read: credits and weights.
    fn nourish(&mut self, samples: &mut Samples) {
        let (before, view) = (self.sampled.borrow().clone(), self.deps.fabric.view());
        samples.compare(&before);
        for deed in self.books.tick(&self.config.node, &view, &before, samples) {
            match deed {
                Deed::Write(row) => self.write_credit(row),
                Deed::Remove(app) => self.remove_credit(&app),
                Deed::Weigh(id, limits) => self.hold_to(&id, limits),
            }
        }
    }

    /// Gives a replica other limits.
    pub(super) fn hold_to(&mut self, id: &LaunchId, limits: Limits) {
        let (keeper, name) = (self.keeper.borrow().keeper.clone(), key(&self.config.node.node_id, id));
        self.tasks.spawn(async move {
            match keeper.set_limits(&name, limits).await {
                // it has ended meanwhile
                Ok(()) | Err(KeeperError::Unknown { .. } | KeeperError::Lost) => {}
                Err(error) => tracing::warn!(%error, "failed to change what {name} is held to"),
            }
        });
    }

    /// What each launch uses, and how much each is to have by now that stays.
    fn of_launches(&self, used: Vec<Used>) -> (Vec<Sample>, Sizes) {
        let mut sizes = Sizes::new();
        let node = &self.config.node.node_id;
        let used: BTreeMap<LaunchId, Used> =
            used.into_iter().filter_map(|used| Some((launch_of(node, &used.id)?, used))).collect();
        let running = self.core.running().filter_map(|(launch, pid, ready, ready_at)| {
            let Used { limits, usage, .. } = used.get(&launch.id)?.clone();
            let size = self.size_of(launch);
            sizes.extend(size.map(|each| (launch.id.clone(), each)));
            Some(Sample {
                launch: launch.id.clone(),
                app: launch.app.clone(),
                digest: launch.digest,
                revision: launch.revision.clone(),
                workload: launch.workload,
                nutrients: size.unwrap_or(launch.nutrients),
                pid,
                ready,
                ready_at,
                limits,
                usage,
                cpu_milli: None,
                io_rate: None,
            })
        });
        (running.collect(), sizes)
    }
}
