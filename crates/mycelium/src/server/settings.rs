//! Secrets and configs, without what they hold.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use fabric::View;
use genome::Plan;
use types::NodeName;

use super::state::ApiState;
use crate::api::{AppSettings, ConfigInfo, NodeKey, SecretInfo, SettingsAt};

/// `GET /v1/settings`
pub(super) async fn settings(State(state): State<ApiState>) -> Json<SettingsAt> {
    let view = state.fabric.view();
    let authority = state.fabric.authority();
    let secrets = view.secrets.values().map(|entry| &entry.value).map(|secret| SecretInfo {
        name: secret.name.clone(),
        version: secret.version,
        app_names: secret.app_names.clone(),
        shares: secret.shares.keys().copied().collect(),
        held: secret.held.keys().cloned().collect(),
    });
    let configs = view.configs.values().map(|entry| &entry.value).map(|config| ConfigInfo {
        name: config.name.clone(),
        version: config.version,
        app_names: config.app_names.clone(),
        bytes: config.text.len() as u64,
    });
    // One that is away just now comes back: it is sealed to as well.
    let names: BTreeSet<&NodeName> = view.nodes.keys().chain(view.members.keys()).collect();
    let nodes = names.into_iter().filter_map(|name| {
        let labels = view.nodes.get(name).map(|node| node.labels.clone()).unwrap_or_default();
        let public_key = *authority.nodes.get(name)?;
        Some(NodeKey { node_id: name.clone(), public_key, labels })
    });
    Json(SettingsAt {
        secrets: secrets.collect(),
        configs: configs.collect(),
        nodes: nodes.collect(),
        operators: authority.operators.clone(),
        apps: apps(&view),
    })
}

fn apps(view: &View) -> Vec<AppSettings> {
    let of = |plan: &Plan| {
        let settings = &plan.release.settings;
        let before = plan.previous.as_ref().map(|previous| &previous.release.settings);
        AppSettings {
            app_name: plan.app_name.clone(),
            digest: plan.release.digest,
            constraints: plan.constraints.clone(),
            secrets: settings.secrets.keys().cloned().collect(),
            secrets_before: before.into_iter().flat_map(|before| before.secrets.keys().cloned()).collect(),
            config: settings.config.keys().cloned().collect(),
        }
    };
    view.plans.values().map(|entry| of(&entry.value)).collect()
}
