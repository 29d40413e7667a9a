//! Which secrets and configs an app's next plan names, and that its nodes can open them.

use std::collections::BTreeSet;
use std::str::FromStr;

use genome::{Settings, Signal};
use mycelium::api::{AppSettings, SettingsAt};
use serde::Deserialize;
use types::{AppName, Digest, SettingName};

use crate::commands::{config, secret};
use crate::context::Context;
use crate::failure::Failure;
use crate::operator::Operator;

/// What is asked of an app's secrets and configs.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Asked {
    /// Give it this secret, as /run/secrets/NAME; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub secret: Vec<SettingName>,
    /// Give it this secret no more
    #[arg(long, value_name = "NAME")]
    pub drop_secret: Vec<SettingName>,
    /// Give it this config, as /run/config/NAME; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub config: Vec<SettingName>,
    /// Give it this config no more
    #[arg(long, value_name = "NAME")]
    pub drop_config: Vec<SettingName>,
    /// How newer values reach replicas that run: `restart` replaces them; `signal` (SIGHUP), or `signal=USR1`, puts them
    /// into their files and tells them [default: as it is, at first restart]
    #[arg(long, value_name = "HOW")]
    pub rotate: Option<Rotate>,
    /// Whether it is to have no other secrets, and no other configs, than these.
    #[arg(skip)]
    pub no_others: (bool, bool),
}

/// How newer values reach replicas that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rotate(Option<Signal>);

impl FromStr for Rotate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "restart" => Ok(Self(None)),
            None if text == "signal" => Ok(Self(Some(Signal::Hup))),
            Some(("signal", name)) => name.parse().map(|signal| Self(Some(signal))),
            _ => {
                Err(format!("{text:?} is neither restart, signal nor signal=HUP, signal=USR1 or signal=USR2"))
            }
        }
    }
}

impl TryFrom<String> for Rotate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What the next plan of an app names, given what its plan names now: what is there already as it is, what is new
/// in the version that there is. All of it is there, and sealed to the nodes that may run the app, when this returns.
pub async fn settings(
    context: &Context,
    operator: &Operator,
    app: &AppName,
    asked: &Asked,
    constraints: Option<&std::collections::BTreeMap<String, String>>,
) -> Result<Option<Settings>, Failure> {
    let now = operator.client().plan(app).await?.plan;
    let current = now.as_ref().map(|plan| plan.release.settings.clone()).unwrap_or_default();
    if *asked == Asked::default() && current.is_empty() {
        return Ok(None);
    }
    let at = operator.client().settings().await?;
    let next = next(&current, asked, &at);
    config::refuse_missing(&at, next.config.keys())?;
    if asked.rotate.is_some() && next.is_empty() {
        return Err(Failure::usage(format_args!("rotate: {app} has neither a secret nor a config"))
            .hint("name what it is to get: --secret NAME, --config NAME"));
    }
    let names: BTreeSet<SettingName> = next.secrets.keys().cloned().collect();
    let planned = AppSettings {
        app_name: app.clone(),
        digest: now.as_ref().map_or_else(|| Digest::of(b""), |plan| plan.release.digest),
        constraints: constraints.cloned().or_else(|| now.map(|plan| plan.constraints)).unwrap_or_default(),
        secrets: names.clone(),
        secrets_before: current.secrets.keys().cloned().collect(),
        config: BTreeSet::new(),
    };
    secret::ready(context, operator, &crate::sealing::foresee(&at, &planned), &names).await?;
    Ok(Some(next))
}

/// The settings with those added and without those dropped that are asked for.
fn next(current: &Settings, asked: &Asked, at: &SettingsAt) -> Settings {
    let mut next = current.clone();
    let (only_secrets, only_configs) = asked.no_others;
    next.secrets.retain(|name, _| {
        !asked.drop_secret.contains(name) && (!only_secrets || asked.secret.contains(name))
    });
    next.config.retain(|name, _| {
        !asked.drop_config.contains(name) && (!only_configs || asked.config.contains(name))
    });
    for name in &asked.secret {
        let version =
            at.secrets.iter().find(|secret| secret.name == *name).map_or(0, |secret| secret.version);
        next.secrets.entry(name.clone()).or_insert(version);
    }
    for name in &asked.config {
        let version =
            at.configs.iter().find(|config| config.name == *name).map_or(0, |config| config.version);
        next.config.entry(name.clone()).or_insert(version);
    }
    if let Some(Rotate(signal)) = asked.rotate {
        next.rotate = signal;
    }
    next
}

#[cfg(test)]
mod tests;
