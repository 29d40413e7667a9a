//! The next plan of an app: pure functions of the current one and of what a person asks for.
//!
//! `None` means that nothing would change. Whoever calls signs and submits.

use std::collections::BTreeMap;

use crate::setting::What;
use genome::{Plan, Previous, Reach, Release, Rollout, Scale};
use mycelium::api::PlanAt;
use types::{AppName, Digest, Metric, Nutrients, SettingName, Workload};

use crate::ration::Ration;
use crate::span::Span;

/// In place of a profile's name: the one that the manifest names.
pub const AS_MANIFEST: &str = "manifest";

/// A release that is to run, and what of the rest of the plan is to change.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The app.
    pub app: AppName,
    /// The spore.
    pub digest: Digest,
    /// The version its manifest states.
    pub version: String,
    /// What its manifest says it is.
    pub workload: Workload,
    /// What its manifest says one replica needs.
    pub nutrients: Nutrients,
    /// The time in which its manifest says that 99 of 100 requests are answered, in milliseconds.
    pub p99_budget_ms: u64,
    /// Whether its requests come through the edge.
    pub is_routed: bool,
    /// What its manifest says it exposes of its load.
    pub metric: Option<Metric>,
    /// What changes besides.
    pub settings: Settings,
}

/// What of a plan is to change; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The fewest and the most replicas.
    pub replicas: Option<(u32, u32)>,
    /// How long without a request before it sleeps, where it may.
    pub idle: Option<Span>,
    /// How long fewer replicas must be enough before the others leave.
    pub settle: Option<Span>,
    /// How much each replica gets.
    pub size: Option<Ration>,
    /// A fixed port, or 0.
    pub port: Option<u16>,
    /// The whole environment over the manifest's.
    pub env: Option<BTreeMap<String, String>>,
    /// The secrets and configs that replicas get.
    pub bound: Option<genome::Settings>,
    /// How long a new replica is ready before an old one leaves.
    pub warmup: Option<Span>,
    /// How long a leaving replica may take.
    pub grace: Option<Span>,
    /// What its nodes' labels must be.
    pub constraints: Option<BTreeMap<String, String>>,
    /// The profile in place of the manifest's; [`AS_MANIFEST`] for that one.
    pub profile: Option<String>,
    /// What it may connect to besides its node's edge.
    pub reach: Option<Vec<Reach>>,
    /// What is said of it.
    pub labels: Option<BTreeMap<String, String>>,
    /// How many nodes may fail before all fall back.
    pub max_failed: Option<u32>,
    /// How many slots try a release before the others.
    pub canary: Option<u32>,
    /// How many slots change at a time.
    pub max_unavailable: Option<u32>,
}

/// The bounds that `instances`, or `min` and `max`, ask for.
pub fn replicas(
    instances: Option<u32>,
    min: Option<u32>,
    max: Option<u32>,
) -> Result<Option<(u32, u32)>, String> {
    match (instances, min, max) {
        (None, None, None) => Ok(None),
        (Some(n), None, None) => Ok(Some((n, n))),
        (Some(_), _, _) => Err("instances: it stands for min and max, so say it or them".to_owned()),
        (None, Some(min), None) => Ok(Some((min, min))),
        (None, min, Some(max)) => {
            let min = min.unwrap_or(max.min(1));
            if min > max {
                return Err(format!("min: {min} is more than max ({max})"));
            }
            Ok(Some((min, max)))
        }
    }
}

/// The plan that runs `wish`. After a roll-back the same release is tried anew.
pub fn deploy(at: &PlanAt, wish: &Wish, default_warmup_ms: u64) -> Option<Plan> {
    let settings = &wish.settings;
    let current = at.plan.as_ref();
    let kept = current.map(|plan| &plan.release);
    let mut release = Release {
        digest: wish.digest,
        version: wish.version.clone(),
        workload: wish.workload,
        nutrients: wish.nutrients,
        port: settings.port.or(kept.map(|r| r.port)).unwrap_or(0),
        env: settings.env.clone().or_else(|| kept.map(|r| r.env.clone())).unwrap_or_default(),
        profile: match settings.profile.as_deref() {
            Some(AS_MANIFEST) => None,
            Some(name) => Some(name.to_owned()),
            None => kept.and_then(|r| r.profile.clone()),
        },
        reach: settings.reach.clone().or_else(|| kept.map(|r| r.reach.clone())).unwrap_or_default(),
        restart: kept.map_or(0, |r| r.restart),
        settings: settings.bound.clone().or_else(|| kept.map(|r| r.settings.clone())).unwrap_or_default(),
    };
    if wish.workload != Workload::Service && settings.port.is_none() {
        release.port = 0;
    }
    if at.rolled_back && kept.is_some_and(|kept| kept.revision() == release.revision()) {
        release.restart += 1;
    }
    let mut plan = current.cloned().unwrap_or_else(|| {
        let mut plan = Plan::new(wish.app.clone(), release.clone(), 1);
        plan.warmup_ms = default_warmup_ms;
        plan
    });
    if let Some(bounds) = settings.replicas {
        (plan.min, plan.max) = bounds;
    } else if plan.max == 0 {
        (plan.min, plan.max) = (1, 1);
    }
    plan.size = settings.size.map_or(plan.size, |ration| ration.0);
    plan.scale = Some(scaling(plan.scale.take(), wish));
    plan.warmup_ms = settings.warmup.map_or(plan.warmup_ms, Span::millis);
    plan.grace_ms = settings.grace.map_or(plan.grace_ms, Span::millis);
    plan.constraints = settings.constraints.clone().unwrap_or(plan.constraints);
    plan.labels = settings.labels.clone().unwrap_or(plan.labels);
    plan.rollout = Rollout {
        max_failed: settings.max_failed.unwrap_or(plan.rollout.max_failed),
        canary: settings.canary.or(plan.rollout.canary),
        max_unavailable: settings.max_unavailable.or(plan.rollout.max_unavailable),
    };
    plan.previous = current.and_then(|_| before(at, &release));
    plan.release = release;
    changed(at, plan)
}

/// How the number of replicas follows demand: as the manifest says, and over how long as was said last.
fn scaling(before: Option<Scale>, wish: &Wish) -> Scale {
    let before = before.unwrap_or_default();
    Scale {
        p99_budget_ms: Some(wish.p99_budget_ms),
        metric: wish.metric.clone(),
        idle_ms: wish.settings.idle.map_or(before.idle_ms, Span::millis),
        settle_ms: wish.settings.settle.map_or(before.settle_ms, Span::millis),
    }
}

/// The plan with other bounds, other times for them, and another size.
pub fn scale(
    at: &PlanAt,
    (min, max): (u32, u32),
    (idle, settle): (Option<Span>, Option<Span>),
    ration: Option<Ration>,
) -> Option<Plan> {
    let mut plan = Plan { min, max, ..at.plan.clone()? };
    plan.size = ration.map_or(plan.size, |ration| ration.0);
    if let Some(scale) = &mut plan.scale {
        scale.idle_ms = idle.map_or(scale.idle_ms, Span::millis);
        scale.settle_ms = settle.map_or(scale.settle_ms, Span::millis);
    }
    changed(at, plan)
}

/// The plan whose replicas are started anew.
pub fn restart(at: &PlanAt) -> Option<Plan> {
    let mut release = at.plan.as_ref()?.release.clone();
    release.restart += 1;
    with_release(at, release)
}

/// The plan whose replicas read at least this version of a secret or config; `None` where they do, or read none.
pub fn renew(at: &PlanAt, (what, name): (What, &SettingName), version: u64) -> Option<Plan> {
    let mut release = at.plan.as_ref()?.release.clone();
    let versions = match what {
        What::Secret => &mut release.settings.secrets,
        What::Config => &mut release.settings.config,
    };
    let least = versions.get_mut(name)?;
    *least = version.max(*least);
    with_release(at, release)
}

/// The plan with another environment.
pub fn environment(at: &PlanAt, env: BTreeMap<String, String>) -> Option<Plan> {
    let release = at.plan.as_ref()?.release.clone();
    with_release(at, Release { env, ..release })
}

/// The plan that runs what ran before.
pub fn roll_back(at: &PlanAt) -> Option<Plan> {
    let before = at.plan.as_ref()?.previous.clone()?;
    let mut plan = with_release(at, before.release)?;
    if at.rolled_back || at.unfinished {
        // The release that failed, or was given up, is nothing to fall back to.
        plan.previous = None;
    }
    Some(plan)
}

fn with_release(at: &PlanAt, release: Release) -> Option<Plan> {
    let mut plan = at.plan.clone()?;
    plan.previous = before(at, &release);
    plan.release = release;
    changed(at, plan)
}

/// What a plan with `next` falls back to: what runs now, or what the current plan would fall back to.
fn before(at: &PlanAt, next: &Release) -> Option<Previous> {
    let current = at.plan.as_ref()?;
    // What is still being tried is nothing to fall back to.
    if at.rolled_back || at.unfinished || current.release.revision() == next.revision() {
        return current.previous.clone();
    }
    Some(Previous { generation: at.generation, release: current.release.clone() })
}

fn changed(at: &PlanAt, plan: Plan) -> Option<Plan> {
    (at.plan.as_ref() != Some(&plan)).then_some(plan)
}

#[cfg(test)]
mod tests;
