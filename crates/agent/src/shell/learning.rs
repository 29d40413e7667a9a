//! Learning what replicas need: from what is read of them anyway, to a record of this node where that says something new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fabric::{Entry, View};
use genome::{Learned, Plan};
use membrane::OutOfMemory;
use nutrients::learn::{Learner, Needs, Reading, Times};
use types::{AppName, Digest, NodeName, Workload};

use super::Shell;
use super::records::said;
use crate::core::{LaunchId, Timing};
use crate::sample::{Sample, Samples};

/// What this node has learned of what it runs.
#[derive(Default)]
pub(super) struct Learning {
    apps: BTreeMap<AppName, OfApp>,
    /// The starts of which nobody knows yet how long they took.
    started: BTreeMap<LaunchId, Duration>,
    /// The plans as they were when what is gone was last forgotten.
    plans: Option<Arc<BTreeMap<AppName, Entry<Plan>>>>,
}

/// What is known of one app.
struct OfApp {
    releases: BTreeMap<Digest, OfRelease>,
    /// Those of `releases`, the one seen last at the end.
    order: Vec<Digest>,
    /// Before then nobody looks whether there is news.
    look_at: Duration,
    /// A lack of memory isn't kept back.
    urgent: bool,
}

struct OfRelease {
    learner: Learner<LaunchId>,
    /// What others know of it.
    said: Needs,
}

impl OfApp {
    /// Goes on from what was published of an app.
    fn new(published: Option<&Learned>, times: Times, now: Duration) -> Self {
        let needs = published.map(|learned| learned.needs.as_slice()).unwrap_or_default();
        let known = needs.iter().map(|need| {
            let said = cortex::needs(need);
            (need.digest, OfRelease { learner: Learner::new(times, said.clone(), now), said })
        });
        Self {
            order: needs.iter().rev().map(|need| need.digest).collect(),
            releases: known.collect(),
            look_at: now + times.minimum / 30,
            urgent: false,
        }
    }

    /// The learner of a release that was seen just now. Of the releases of an app some are remembered.
    fn seen(&mut self, digest: Digest, times: Times, now: Duration) -> &mut Learner<LaunchId> {
        if self.order.last() != Some(&digest) {
            self.order.retain(|other| *other != digest);
            self.order.push(digest);
        }
        if self.order.len() > Learned::MAX_NEEDS {
            let oldest = self.order.remove(0);
            self.releases.remove(&oldest);
        }
        let new =
            || OfRelease { learner: Learner::new(times, Needs::default(), now), said: Needs::default() };
        &mut self.releases.entry(digest).or_insert_with(new).learner
    }

    fn is_news(&mut self, timing: &Timing, now: Duration) -> bool {
        if !self.urgent && now < self.look_at {
            return false;
        }
        self.look_at = now + timing.learn / 180;
        self.releases.values().any(|release| {
            let known = release.learner.needs();
            known.differs(&release.said) || (release.said == Needs::default() && known.samples > 0)
        })
    }

    fn record(&self, node: &NodeName, app: &AppName) -> Learned {
        let newest = self.order.iter().rev();
        let needs = newest
            .filter_map(|digest| Some(cortex::need(*digest, &self.releases.get(digest)?.learner.needs())));
        Learned { node_id: node.clone(), app_name: app.clone(), needs: needs.collect() }
    }
}

impl Shell {
    /// What was launched runs by now.
    pub(super) fn has_started(&mut self, id: &LaunchId) {
        let now = self.began.elapsed();
        self.learning.started.insert(id.clone(), now);
    }

    /// Learns from a reading, and says what is new.
    pub(super) fn learn(&mut self, samples: &Samples) {
        let (now, times) = (samples.mono, self.config.timing.learning());
        let there: BTreeSet<&LaunchId> = samples.replicas.iter().map(|sample| &sample.launch).collect();
        for sample in &samples.replicas {
            let took = self.took(sample);
            let of = self.learned_app(&sample.app, now);
            let learner = of.seen(sample.digest, times, now);
            let usage = &sample.usage;
            let reading = Reading {
                cpu_usec: usage.cpu_usec,
                memory: usage.memory,
                peak: usage.memory_peak,
                cache: usage.memory_cache,
            };
            learner.note(sample.launch.clone(), now, &reading);
            if let Some(took) = took {
                learner.ready(took);
            }
        }
        for release in self.learning.apps.values_mut().flat_map(|of| of.releases.values_mut()) {
            release.learner.retain(|launch| there.contains(launch));
        }
        let core = &self.core;
        self.learning.started.retain(|launch, _| core.running().any(|(running, ..)| running.id == *launch));
        self.say_learned(now, OfApp::is_news);
    }

    /// The kernel ended a replica for lack of memory.
    pub(super) fn lacked_memory(&mut self, app: &AppName, digest: Digest, oom: OutOfMemory) {
        let Some(limit) = oom.limit else { return };
        let (now, times) = (self.began.elapsed(), self.config.timing.learning());
        let of = self.learned_app(app, now);
        of.urgent = true;
        of.seen(digest, times, now).out_of_memory(limit >> 20);
        self.say_learned(now, OfApp::is_news);
    }

    /// Says all that others don't know yet, before nobody here does any more.
    pub(super) fn say_all_learned(&mut self) {
        let unsaid = |of: &mut OfApp, _: &Timing, _: Duration| {
            of.releases.values().any(|release| release.learner.needs() != release.said)
        };
        self.say_learned(self.began.elapsed(), unsaid);
    }

    /// What was learned of apps that are gone is forgotten.
    pub(super) fn forget_learned(&mut self, view: &View) {
        if self.learning.plans.as_ref().is_some_and(|plans| Arc::ptr_eq(plans, &view.plans)) {
            return;
        }
        self.learning.plans = Some(Arc::clone(&view.plans));
        self.learning.apps.retain(|app, _| view.plans.contains_key(app));
        let (node, key) = (&self.config.node.node_id, &*self.deps.signer);
        let gone = view.learned.keys().filter(|(app, of)| of == node && !view.plans.contains_key(app));
        for (app, _) in gone {
            let removed = self.deps.fabric.unsay_of::<Learned>(app, node, key, (self.deps.clock)());
            said(removed, "withdraw what was learned");
        }
    }

    fn learned_app(&mut self, app: &AppName, now: Duration) -> &mut OfApp {
        let (fabric, node) = (&self.deps.fabric, &self.config.node.node_id);
        let times = self.config.timing.learning();
        self.learning.apps.entry(app.clone()).or_insert_with(|| {
            let view = fabric.view();
            let published = view.learned.get(&(app.clone(), node.clone()));
            OfApp::new(published.map(|learned| &**learned), times, now)
        })
    }

    /// How long a service took that is ready for the first time.
    fn took(&mut self, sample: &Sample) -> Option<Duration> {
        let ready_at = sample.ready_at.filter(|_| sample.workload == Workload::Service)?;
        let started = self.learning.started.remove(&sample.launch)?;
        Some(ready_at.saturating_sub(started))
    }

    fn say_learned(&mut self, now: Duration, is_news: impl Fn(&mut OfApp, &Timing, Duration) -> bool) {
        let (node, key) = (&self.config.node.node_id, &*self.deps.signer);
        let view = self.deps.fabric.view();
        for (app, of) in &mut self.learning.apps {
            // One whose plan has just gone is forgotten with the next look at the records.
            if !view.plans.contains_key(app) || !is_news(of, &self.config.timing, now) {
                continue;
            }
            let record = of.record(node, app);
            said(self.deps.fabric.say_of(&record, key, (self.deps.clock)()), "publish what was learned");
            (of.look_at, of.urgent) = (now + self.config.timing.learn / 6, false);
            for release in of.releases.values_mut() {
                release.said = release.learner.needs();
            }
        }
    }
}
