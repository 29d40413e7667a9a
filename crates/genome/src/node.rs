//! Node: one machine's (or, on one machine, one agent's) own account of itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{NodeName, Nutrients};

use crate::Invalid;
use crate::label::validate_labels;

/// What a node offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// The machine it runs on: two nodes of one host share its ports.
    #[serde(default)]
    pub host: String,
    /// What it can promise to replicas.
    pub capacity: Nutrients,
    /// What constraints are matched against; of `zone`, apps are spread over the values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where peers reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The version of `mesh` it runs.
    #[serde(default)]
    pub version: String,
    /// Coarse, and changed with hysteresis.
    #[serde(default)]
    pub pressure: Pressure,
}

/// How busy a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pressure {
    /// Nothing waits.
    #[default]
    None,
    /// Some work waits.
    Some,
    /// Work waits most of the time.
    Full,
}

impl Node {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        validate_labels(&self.labels)
    }
}
