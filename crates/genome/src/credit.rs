//! Credit: what one node has earned, spent, passed on and been given of an app's credits.
//!
//! Only that node writes it, and no number in it ever falls, so the latest one says all. Published when much has changed or
//! others wait for it, never as a heartbeat.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName};

use crate::Invalid;

/// The most microseconds of a CPU: every JSON reader agrees on it, and no machine gets there.
const MAX_MICROS: u64 = 1 << 53;
/// So many nodes stand on either side.
const MAX_GIFTS: usize = 64;

/// One node's row of one app's credits, in microseconds of a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    /// Whose row.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Of which app.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// Which row of this node and app: greater than that of any before it.
    pub life: u64,
    /// What the app left over here of its baseline.
    #[serde(default)]
    pub earned: u64,
    /// What it took for that, or put aside for it.
    #[serde(default)]
    pub spent: u64,
    /// What was passed on, by who may take it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<NodeName, Gift>,
    /// What was taken of that, by who passed it on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<NodeName, Gift>,
}

/// All that one row has passed on to one other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gift {
    /// Which row of the other node: what was meant for a former one is void.
    pub life: u64,
    /// How much.
    pub micros: u64,
}

impl Credit {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, gifts) in [("given", &self.given), ("taken", &self.taken)] {
            if gifts.len() > MAX_GIFTS {
                return Err(Invalid::new(field, format!("more than {MAX_GIFTS} nodes")));
            }
        }
        let gifts = self.given.values().chain(self.taken.values());
        let numbers = [self.life, self.earned, self.spent].into_iter();
        match numbers
            .chain(gifts.flat_map(|gift| [gift.life, gift.micros]))
            .find(|number| *number > MAX_MICROS)
        {
            Some(number) => Err(Invalid::new("micros", format!("{number} is more than {MAX_MICROS}"))),
            None => Ok(()),
        }
    }
}
