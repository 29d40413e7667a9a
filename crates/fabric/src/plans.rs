//! PlanSubscription: the latest plan of every app, however slow and however late the subscriber is.
//!
//! There is no queue that could fill: what a subscriber was told last is compared with what holds now. An app
//! whose plan changed five times meanwhile is told once, with its latest plan.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use genome::Plan;
use types::{AppName, Digest};

use crate::{Changes, Entry};

/// News about one app's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanChange {
    /// This plan holds now.
    Published(Entry<Plan>),
    /// The app has no plan any more.
    Removed(AppName),
}

/// A subscription to plans. Dropping it ends it.
#[derive(Debug)]
pub struct PlanSubscription {
    changes: Changes,
    /// The record that was told of each app.
    told: BTreeMap<AppName, Digest>,
}

impl PlanSubscription {
    pub(crate) const fn new(changes: Changes) -> Self {
        Self { changes, told: BTreeMap::new() }
    }

    /// What there is to tell now, if anything.
    pub fn try_next(&mut self) -> Option<PlanChange> {
        let view = self.changes.fabric().view();
        let gone = self.told.keys().find(|app| !view.plans.contains_key(*app)).cloned();
        if let Some(app) = gone {
            self.told.remove(&app);
            return Some(PlanChange::Removed(app));
        }
        let (app, entry) = view.plans.iter().find(|(app, entry)| self.told.get(*app) != Some(&entry.id))?;
        self.told.insert(app.clone(), entry.id);
        Some(PlanChange::Published(entry.clone()))
    }

    /// The next news. Needs no particular runtime; may be dropped at any point without losing anything.
    pub async fn next(&mut self) -> PlanChange {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`PlanSubscription::next`], for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<PlanChange> {
        loop {
            if let Some(change) = self.try_next() {
                return Poll::Ready(change);
            }
            if self.changes.poll_changed(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// [`PlanSubscription::next`] for a thread; nothing when `timeout` passes first.
    pub fn wait(&mut self, timeout: Duration) -> Option<PlanChange> {
        let start = Instant::now(); // tidy: it bounds a wait and decides nothing
        loop {
            if let Some(change) = self.try_next() {
                return Some(change);
            }
            self.changes.wait(timeout.saturating_sub(start.elapsed()))?;
        }
    }
}
