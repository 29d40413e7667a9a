//! Scale: how the number of an app's replicas follows demand.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{Metric, Workload};

use crate::{Invalid, Plan};

/// The longest of the times, in milliseconds.
const MAX_MILLIS: u64 = 24 * 3_600_000;

/// How the number of replicas follows demand, from the plan's `min` to its `max`.
///
/// With `min` = 0 a service sleeps: without a request for `idle_ms` it has no replica, and the next request is held
/// until one is ready. A stopped app is another thing: its `max` is 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    /// The time in which 99 of 100 requests are to be answered, in milliseconds, as the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_budget_ms: Option<u64>,
    /// How long there must be no request before an app with `min` = 0 sleeps, in milliseconds.
    #[serde(default = "default_idle")]
    pub idle_ms: u64,
    /// How long fewer replicas must have been enough before the surplus leaves, in milliseconds.
    #[serde(default = "default_settle")]
    pub settle_ms: u64,
    /// What its replicas expose of their load, as the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

impl Default for Scale {
    fn default() -> Self {
        Self { p99_budget_ms: None, idle_ms: default_idle(), settle_ms: default_settle(), metric: None }
    }
}

impl Scale {
    /// [`Scale::idle_ms`] as a duration.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// [`Scale::settle_ms`] as a duration.
    #[must_use]
    pub const fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_ms)
    }

    /// The time that requests may take.
    #[must_use]
    pub fn budget(&self) -> Option<Duration> {
        self.p99_budget_ms.map(Duration::from_millis)
    }

    pub(crate) fn validate(&self, plan: &Plan) -> Result<(), Invalid> {
        for (field, millis) in [("idle_ms", self.idle_ms), ("settle_ms", self.settle_ms)] {
            if millis > MAX_MILLIS {
                return Err(Invalid::new(field, "longer than a day"));
            }
        }
        if self.p99_budget_ms == Some(0) {
            return Err(Invalid::new("p99_budget_ms", "0, but an answer takes its time"));
        }
        if let Some((field, problem)) = self.metric.as_ref().and_then(Metric::problem) {
            return Err(Invalid::new(field, problem));
        }
        if plan.min == 0 && plan.max > 0 && plan.release.workload != Workload::Service {
            let why = "0, but only a service is woken, by a request: at least 1, or stop it with max = 0";
            return Err(Invalid::new("min", why));
        }
        Ok(())
    }
}

impl Plan {
    /// Whether the app has no replica while nobody asks for it, and wakes when somebody does.
    #[must_use]
    pub fn sleeps(&self) -> bool {
        self.min == 0 && self.max > 0 && self.scale.is_some() && self.release.workload == Workload::Service
    }
}

const fn default_idle() -> u64 {
    60_000
}

const fn default_settle() -> u64 {
    30_000
}
