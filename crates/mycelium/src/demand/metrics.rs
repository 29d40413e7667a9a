//! The metrics that replicas on the nodes of this process expose, read every second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabric::{Fabric, View};
use genome::{Endpoint, ReplicaState};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use types::{Aggregate, AppName, Metric, ReplicaName};

use crate::presence::Presence;

/// How often they are read.
const EVERY: Duration = Duration::from_secs(1);
/// So many are read at a time.
const AT_ONCE: usize = 64;

/// What was read last of each replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings(Arc<Mutex<BTreeMap<AppName, OfApp>>>);

#[derive(Debug)]
struct OfApp {
    metric: Metric,
    /// By replica: what it said last, which holds until it says something else, and why it didn't this time.
    values: BTreeMap<ReplicaName, f64>,
    trouble: Option<String>,
}

/// One replica that is to be asked.
struct Question {
    app: AppName,
    replica: ReplicaName,
    port: u16,
    metric: Metric,
}

impl Readings {
    /// How many replicas the metric asks for here, in thousandths, once any replica has said something.
    pub(crate) fn of(&self, app: &AppName) -> Option<u64> {
        let all = self.lock();
        let of_app = all.get(app).filter(|of_app| !of_app.values.is_empty())?;
        let values = of_app.values.values();
        let value = match of_app.metric.aggregate {
            Aggregate::Sum => values.sum::<f64>(),
            Aggregate::Max => values.copied().fold(0.0, f64::max),
        };
        #[expect(clippy::cast_precision_loss, reason = "a target is a round number")]
        let milli = value * 1000.0 / of_app.metric.target as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
        Some(milli.clamp(0.0, 1e12).round() as u64)
    }

    /// Why the metric of an app could not be read here the last time, when it couldn't.
    pub(crate) fn trouble(&self, app: &AppName) -> Option<String> {
        self.lock().get(app)?.trouble.clone()
    }

    /// Reads, until it is dropped.
    pub(crate) async fn follow(&self, fabric: &Fabric, presence: &Presence) {
        let mut times = interval(EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            let questions = self.questions(&fabric.view(), presence);
            self.ask(questions).await;
        }
    }

    /// Whom to ask; what is known of others is forgotten.
    fn questions(&self, view: &View, presence: &Presence) -> Vec<Question> {
        let mut all = self.lock();
        let mut questions = Vec::new();
        let mut known = std::mem::take(&mut *all);
        for (app, entry) in view.plans.iter() {
            let Some(metric) = entry.value.scale.as_ref().and_then(|scale| scale.metric.clone()) else {
                continue;
            };
            let asked = |endpoint: &&Arc<Endpoint>| {
                endpoint.state == ReplicaState::Ready && presence.is_own(&endpoint.node_id)
            };
            let ports: BTreeMap<ReplicaName, u16> = view
                .endpoints_of(app)
                .filter(asked)
                .filter_map(|endpoint| Some((endpoint.replica.clone(), port(&endpoint.url)?)))
                .collect();
            let before = known.remove(app).filter(|before| before.metric == metric);
            let mut values = before.map(|before| before.values).unwrap_or_default();
            values.retain(|replica, _| ports.contains_key(replica));
            all.insert(app.clone(), OfApp { metric: metric.clone(), values, trouble: None });
            questions.extend(ports.into_iter().map(|(replica, port)| Question {
                app: app.clone(),
                replica,
                port,
                metric: metric.clone(),
            }));
        }
        questions
    }

    async fn ask(&self, questions: Vec<Question>) {
        let mut questions = questions.into_iter();
        let mut asking = JoinSet::new();
        loop {
            while asking.len() < AT_ONCE
                && let Some(question) = questions.next()
            {
                asking.spawn(async move {
                    let answer = agent::metric::read(question.port, &question.metric).await;
                    (question, answer)
                });
            }
            let Some(joined) = asking.join_next().await else { return };
            let Ok((question, answer)) = joined else { continue };
            let mut all = self.lock();
            let Some(of_app) = all.get_mut(&question.app) else { continue };
            match answer {
                Ok(value) => drop(of_app.values.insert(question.replica, value)),
                Err(why) => {
                    tracing::debug!(app = %question.app, replica = %question.replica, why, "no metric");
                    of_app.trouble = Some(format!("{}: {why}", question.replica));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AppName, OfApp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port of a replica's own address.
fn port(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.trim_end_matches('/').parse().ok()
}
