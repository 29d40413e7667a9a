//! Answers about secrets and configs: what there is, for whom, and who could open it. Never a value.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, NodeName, PublicKey, SettingName};

/// `GET /v1/settings`: what it takes to say which node lacks a share of what.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SettingsAt {
    /// Every secret, by name.
    pub secrets: Vec<SecretInfo>,
    /// Every config, by name.
    pub configs: Vec<ConfigInfo>,
    /// Every node that could run something.
    pub nodes: Vec<NodeKey>,
    /// The keys of the operators.
    pub operators: BTreeSet<PublicKey>,
    /// What the plans name.
    pub apps: Vec<AppSettings>,
}

/// One secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretInfo {
    /// Its name.
    pub name: SettingName,
    /// The version of its value.
    pub version: u64,
    /// The apps that may have it; empty for every app whose plan names it.
    pub app_names: BTreeSet<AppName>,
    /// The keys of nodes and operators that it is sealed to.
    pub shares: BTreeSet<PublicKey>,
    /// The key services that hold its key.
    pub held: BTreeSet<String>,
}

/// One config.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigInfo {
    /// Its name.
    pub name: SettingName,
    /// The version of its text.
    pub version: u64,
    /// The apps that may have it; empty for every app whose plan names it.
    pub app_names: BTreeSet<AppName>,
    /// How long its text is.
    pub bytes: u64,
}

/// A node, as far as sealing to it needs it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeKey {
    /// Its name.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Its key.
    pub public_key: PublicKey,
    /// What constraints are matched against.
    pub labels: BTreeMap<String, String>,
}

/// What an app's plan names.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppSettings {
    /// The app.
    pub app_name: AppName,
    /// The spore it runs.
    pub digest: Digest,
    /// What a node's labels must be.
    pub constraints: BTreeMap<String, String>,
    /// The secrets.
    pub secrets: BTreeSet<SettingName>,
    /// The secrets of the release before, to which it may fall back.
    pub secrets_before: BTreeSet<SettingName>,
    /// The configs.
    pub config: BTreeSet<SettingName>,
}
