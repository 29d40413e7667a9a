//! What this process asks for of apps: looked up in the edge's counters and its replicas' metrics, worked out by
//! [`cortex::Load`], published when it has changed enough.
//!
//! A request that is held is told of at once; everything else is looked at a few times a second. Where several nodes
//! run in one process, the first speaks for its edge.

mod metrics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::{Decided, Planner};
use cortex::{Around, Counts, Figure, Load};
use edge::{AppStats, Edge, Histogram};
use fabric::{Entry, Fabric, View};
use genome::{Demand, Plan, ReplicaState, Revision, Scale};
use soul::SecretKey;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::{AppName, NodeName, Workload};

use crate::burn::{Burn, WINDOWS};
use crate::clock::SystemClock;
use crate::presence::Presence;

pub(crate) use metrics::Readings;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// So many records are published a look at most: the others follow in the next ones.
const AT_ONCE: usize = 32;
/// The time over which the 99th percentile is taken.
const LATELY: Duration = Duration::from_secs(10);

/// What of all this is shown to people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// How fast each app uses up its error budget at this edge.
    pub(crate) burns: Burns,
    /// What the replicas here expose of their load.
    pub(crate) readings: Readings,
    over: Arc<Notify>,
}

impl Seen {
    /// From now on a successor asks.
    pub(crate) fn hand_over(&self) {
        self.over.notify_one();
    }
}

/// How fast each app uses up its error budget at this edge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Burns(Arc<Mutex<BTreeMap<AppName, [f64; WINDOWS.len()]>>>);

impl Burns {
    /// Of every app with a budget, the rate over each of [`WINDOWS`].
    pub(crate) fn all(&self) -> BTreeMap<AppName, [f64; WINDOWS.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whatever it takes to ask.
pub(crate) struct Demands {
    pub(crate) fabric: Fabric,
    pub(crate) planner: Arc<Planner>,
    pub(crate) edge: Edge,
    pub(crate) presence: Presence,
    pub(crate) node: NodeName,
    pub(crate) signer: Arc<SecretKey>,
    pub(crate) seen: Seen,
}

/// What is known of one app.
struct Tracked {
    revision: Revision,
    scale: Scale,
    sleeps: bool,
    load: Load,
    burn: Burn,
    /// The latencies of two times, the newer one first: what came since the older is of lately.
    before: [(Duration, Histogram); 2],
}

impl Demands {
    /// Asks, until it is dropped.
    pub(crate) async fn follow(self) {
        let began = Instant::now();
        let mut apps: BTreeMap<AppName, Tracked> = BTreeMap::new();
        let mut unsaid: BTreeMap<AppName, Figure> = BTreeMap::new();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.look(&mut apps, &mut unsaid, began.elapsed()),
                () = self.edge.routes().woken() => self.wake(&mut apps, &mut unsaid, began.elapsed()),
                () = self.seen.over.notified() => return std::future::pending().await,
            }
            self.publish(&apps, &mut unsaid);
        }
    }

    /// Who holds requests asks at once.
    fn wake(
        &self,
        apps: &mut BTreeMap<AppName, Tracked>,
        unsaid: &mut BTreeMap<AppName, Figure>,
        now: Duration,
    ) {
        let view = self.fabric.view();
        for (app, stats) in self.edge.stats().apps.iter().filter(|(_, stats)| stats.held > 0) {
            let Some(entry) = view.plans.get(app).filter(|entry| entry.value.sleeps()) else { continue };
            let tracked = self.track(apps, app, entry, &view, now);
            if let Some(figure) = tracked.load.wake(now) {
                tracing::info!(%app, held = stats.held, "a request wakes it");
                unsaid.insert(app.clone(), figure);
            }
        }
    }

    fn look(
        &self,
        apps: &mut BTreeMap<AppName, Tracked>,
        unsaid: &mut BTreeMap<AppName, Figure>,
        now: Duration,
    ) {
        if apps.is_empty() && !self.fabric.view().plans.values().any(|entry| is_watched(&entry.value)) {
            return self.withdraw(&self.fabric.view());
        }
        let Decided { view, decision } = self.planner.decided();
        let stats = self.edge.stats().apps;
        let of =
            |app: &AppName, is: fn(&Plan) -> bool| view.plans.get(app).is_some_and(|entry| is(&entry.value));
        apps.retain(|app, _| of(app, is_watched));
        unsaid.retain(|app, _| of(app, is_scaled));
        for (app, entry) in view.plans.iter().filter(|(_, entry)| is_watched(&entry.value)) {
            let wanted = decision.apps.get(app).map_or(0, |decided| decided.wanted);
            let around = self.around(&view, app, &entry.value, wanted);
            let tracked = self.track(apps, app, entry, &view, now);
            let counts = tracked.count(stats.get(app), now);
            if is_scaled(&entry.value)
                && let Some(figure) = tracked.load.note(now, counts, &around)
            {
                unsaid.insert(app.clone(), figure);
            }
        }
        let rates = apps.iter().filter(|(_, tracked)| tracked.scale.p99_budget_ms.is_some());
        let rates = rates.map(|(app, tracked)| (app.clone(), tracked.burn.rates())).collect();
        *self.seen.burns.0.lock().unwrap_or_else(PoisonError::into_inner) = rates;
        self.withdraw(&view);
    }

    /// What is known of an app, from now on if it wasn't before.
    fn track<'a>(
        &self,
        apps: &'a mut BTreeMap<AppName, Tracked>,
        app: &AppName,
        entry: &Entry<Plan>,
        view: &View,
        now: Duration,
    ) -> &'a mut Tracked {
        let plan = &entry.value;
        let tracked = apps.entry(app.clone()).or_insert_with(|| {
            let (revision, scale) = (plan.release.revision(), plan.scale.clone().unwrap_or_default());
            let mut load = Load::new(&scale, plan.sleeps(), now);
            if let Some(said) = view.demand.get(&(app.clone(), self.node.clone())) {
                load.adopt(said, said.revision == revision, now);
            }
            let before = [(now, Histogram::default()), (now, Histogram::default())];
            Tracked { revision, scale, sleeps: plan.sleeps(), load, burn: Burn::default(), before }
        });
        tracked.revise(plan, now);
        tracked
    }

    /// What else is known of an app.
    fn around(&self, view: &View, app: &AppName, plan: &Plan, wanted: u32) -> Around {
        let (mut ready, mut hosts) = (0, false);
        for endpoint in view.endpoints_of(app).filter(|e| self.presence.takes_work(&e.node_id)) {
            ready += u32::from(endpoint.is_ready());
            let over = matches!(endpoint.state, ReplicaState::Draining | ReplicaState::Completed);
            hosts |= !over && self.presence.is_own(&endpoint.node_id);
        }
        let others = view.demand_of(app).filter(|said| said.node_id != self.node);
        let (mut others_milli, mut pace_milli) = (0_u64, 0);
        for said in others.filter(|said| self.presence.takes_work(&said.node_id)) {
            others_milli = others_milli.saturating_add(said.rate_milli);
            if said.pace_milli > 0 && (pace_milli == 0 || said.pace_milli < pace_milli) {
                pace_milli = said.pace_milli;
            }
        }
        let floor = plan.min.max(1);
        let metric_milli = self.seen.readings.of(app);
        Around { ready, wanted, floor, others_milli, said_milli: 0, pace_milli, metric_milli, hosts }
    }

    fn publish(&self, apps: &BTreeMap<AppName, Tracked>, unsaid: &mut BTreeMap<AppName, Figure>) {
        for _ in 0..AT_ONCE {
            let Some((app, figure)) = unsaid.pop_first() else { return };
            let Some(tracked) = apps.get(&app) else { continue };
            let demand = record(&self.node, &app, &tracked.revision, &figure);
            let said = self.fabric.say_of(&demand, &*self.signer, SystemClock.now());
            if let Err(refused) = said {
                // It is said again when it changes, and meanwhile what was said before holds.
                tracing::warn!(%app, %refused, "failed to publish the demand");
            }
        }
    }

    /// Takes back what was said of apps that don't scale any more.
    fn withdraw(&self, view: &View) {
        let old = view.demand.keys().filter(|(app, node)| {
            *node == self.node && !view.plans.get(app).is_some_and(|entry| is_scaled(&entry.value))
        });
        for (app, node) in old {
            if let Err(refused) = self.fabric.unsay_of::<Demand>(app, node, &*self.signer, SystemClock.now())
            {
                tracing::warn!(%app, %refused, "failed to withdraw the demand");
            }
        }
    }
}

impl Tracked {
    fn revise(&mut self, plan: &Plan, now: Duration) {
        let (revision, sleeps) = (plan.release.revision(), plan.sleeps());
        let is_new_release = revision != self.revision;
        if is_new_release || sleeps != self.sleeps || plan.scale.as_ref() != Some(&self.scale) {
            self.scale = plan.scale.clone().unwrap_or_default();
            (self.revision, self.sleeps) = (revision, sleeps);
            self.load.revise(&self.scale, sleeps, is_new_release, now);
        }
    }

    fn count(&mut self, stats: Option<&AppStats>, now: Duration) -> Counts {
        let Some(stats) = stats else { return Counts::default() };
        if now >= self.before[0].0 + LATELY / 2 {
            self.before.swap(0, 1);
            self.before[0] = (now, stats.latency.clone());
        }
        let ended = stats.requests();
        self.burn.note(now, ended, stats.bad);
        let p99 = stats.latency.since(&self.before[1].1).quantile(0.99);
        Counts {
            started: ended + stats.open,
            ended,
            slow: stats.slow,
            late: stats.late,
            open: stats.open,
            p99_ms: u64::try_from(p99.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Whether there is a budget for an app's requests, or its replicas follow demand.
fn is_watched(plan: &Plan) -> bool {
    let by = |scale: &Scale| scale.metric.is_some() || plan.release.workload == Workload::Service;
    plan.max > 0 && plan.scale.as_ref().is_some_and(by)
}

/// Whether the number of an app's replicas follows demand.
fn is_scaled(plan: &Plan) -> bool {
    is_watched(plan) && plan.min < plan.max
}

fn record(node: &NodeName, app: &AppName, revision: &Revision, figure: &Figure) -> Demand {
    Demand {
        node_id: node.clone(),
        app_name: app.clone(),
        revision: revision.clone(),
        need_milli: figure.need_milli,
        metric_milli: figure.metric_milli,
        rate_milli: figure.rate_milli,
        pace_milli: figure.pace_milli,
        in_flight: figure.in_flight,
        p99_ms: figure.p99_ms,
        slow_permille: figure.slow_permille,
    }
}
