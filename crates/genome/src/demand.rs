//! Demand: how many replicas of an app the requests at a node's edge, and the work of its replicas, ask for.
//!
//! Published when it changes by more than a little, never as a heartbeat: raised at once, lowered after less was
//! enough for a while. So the record itself is what keeps the number of replicas from going up and down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName};

use crate::{Invalid, Revision};

/// No mesh needs more replicas, in thousandths.
const MAX_MILLI: u64 = 1_000_000_000_000;

/// What one node asks for of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Demand {
    /// Who asks.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Of which app.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// The release of the plan that it was said under: of an app that sleeps, one that nobody spoke of is tried first.
    pub revision: Revision,
    /// So many replicas the requests at its edge need, in thousandths; 0 when nobody asks.
    #[serde(default)]
    pub need_milli: u64,
    /// So many replicas the metric of the replicas on this node asks for, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_milli: Option<u64>,
    /// Requests a second at its edge, in thousandths, the trend of the next seconds included.
    #[serde(default)]
    pub rate_milli: u64,
    /// Requests a second that one replica answers in time, in thousandths, as learned; 0 while nothing is known.
    #[serde(default)]
    pub pace_milli: u64,
    /// How many requests were open.
    #[serde(default)]
    pub in_flight: u64,
    /// In which time 99 of 100 requests were answered lately, in milliseconds.
    #[serde(default)]
    pub p99_ms: u64,
    /// So many of a thousand requests took longer than the plan's budget lately.
    #[serde(default)]
    pub slow_permille: u32,
}

impl Demand {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        let fields = [
            ("need_milli", self.need_milli),
            ("metric_milli", self.metric_milli.unwrap_or(0)),
            ("rate_milli", self.rate_milli),
            ("pace_milli", self.pace_milli),
            ("in_flight", self.in_flight),
        ];
        for (field, value) in fields {
            if value > MAX_MILLI {
                return Err(Invalid::new(field, format!("{value} is more than {MAX_MILLI}")));
            }
        }
        Ok(())
    }
}
