//! Scale: how many replicas a plan asks for, from what the nodes say that they need.
//!
//! Each edge says how many replicas its requests need, each node how many the metric of its replicas asks for
//! ([`Load`](crate::Load) works both out). Here they are only put together: what has to be remembered of the past
//! (how long less was enough, what one replica can do) stands in the records already.

use std::collections::BTreeMap;
use std::fmt;

use genome::{Demand, Endpoint, Plan, ReplicaState};
use types::{Aggregate, AppName, Workload};

use crate::World;
use crate::room::Room;

/// How many replicas a plan asks for as things stand, and by what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scaling {
    /// So many, within `min` and `max`.
    pub replicas: u32,
    /// So many are needed, whatever the bounds, in thousandths.
    pub need_milli: u64,
    /// So many nodes get requests for it.
    pub edges: u32,
    /// Requests a second at all edges, in thousandths.
    pub rate_milli: u64,
    /// Requests a second that one replica answers in time, in thousandths, as the edge that found least has it; 0
    /// while no edge has learned it.
    pub pace_milli: u64,
    /// So many replicas the metric asks for, in thousandths.
    pub metric_milli: Option<u64>,
    /// Nobody asks for it and it needn't be there.
    pub asleep: bool,
    /// It has yet to show that it comes up: nobody has said yet whether it is needed.
    pub on_trial: bool,
}

/// What is said of every app, by app.
pub(crate) struct Said<'a> {
    demand: BTreeMap<&'a AppName, Vec<&'a Demand>>,
    /// The endpoints of jobs that scale.
    jobs: BTreeMap<&'a AppName, Vec<&'a Endpoint>>,
}

impl<'a> Said<'a> {
    pub(crate) fn of(world: &World<'a>) -> Self {
        let mut demand: BTreeMap<&AppName, Vec<&Demand>> = BTreeMap::new();
        for said in &world.demand {
            demand.entry(&said.app_name).or_default().push(said);
        }
        let scaled = |plan: &&Plan| plan.release.workload == Workload::Job && plan.scale.is_some();
        let mut jobs: BTreeMap<&AppName, Vec<&Endpoint>> = BTreeMap::new();
        for plan in world.plans.iter().map(|planned| planned.plan).filter(scaled) {
            let of_app = world.endpoints.iter().filter(|endpoint| endpoint.app_name == plan.app_name);
            jobs.insert(&plan.app_name, of_app.copied().collect());
        }
        Self { demand, jobs }
    }

    /// What a plan asks for.
    pub(crate) fn scaling(&self, plan: &Plan, room: &Room) -> Scaling {
        let bounds = |replicas: u32| replicas.clamp(plan.min.min(plan.max), plan.max);
        if plan.scale.is_none() {
            return Scaling { replicas: bounds(plan.min), ..Scaling::default() };
        }
        let revision = plan.release.revision();
        let all = self.demand.get(&plan.app_name).map(Vec::as_slice).unwrap_or_default();
        let mut scaling = sum(plan, all.iter().filter(|said| room.place(&said.node_id).is_some()));
        let need = u32::try_from(scaling.need_milli.div_ceil(1000)).unwrap_or(u32::MAX);
        scaling.replicas = bounds(need.max(self.begun(plan)));
        if plan.sleeps() && scaling.need_milli == 0 {
            // Whoever said that nobody needs it may be gone by now: it was so nevertheless.
            scaling.on_trial = !all.iter().any(|said| said.revision == revision);
            scaling.asleep = !scaling.on_trial;
            scaling.replicas = bounds(u32::from(scaling.on_trial));
        }
        scaling
    }

    /// A turn of a job isn't taken back, so the slots stay that have begun one.
    fn begun(&self, plan: &Plan) -> u32 {
        let revision = plan.release.revision();
        let turns = self.jobs.get(&plan.app_name).map(Vec::as_slice).unwrap_or_default();
        let begun = turns
            .iter()
            .filter(|turn| turn.revision == revision && turn.state != ReplicaState::Draining)
            .map(|turn| turn.slot.saturating_add(1));
        begun.max().unwrap_or(0)
    }
}

/// What living nodes ask for, together.
fn sum<'d>(plan: &Plan, said: impl Iterator<Item = &'d &'d Demand>) -> Scaling {
    let aggregate = plan.scale.as_ref().and_then(|scale| scale.metric.as_ref()).map(|of| of.aggregate);
    let mut scaling = Scaling::default();
    for said in said {
        scaling.need_milli = scaling.need_milli.saturating_add(said.need_milli);
        scaling.rate_milli = scaling.rate_milli.saturating_add(said.rate_milli);
        scaling.edges += u32::from(said.need_milli > 0);
        if said.pace_milli > 0 && (scaling.pace_milli == 0 || said.pace_milli < scaling.pace_milli) {
            scaling.pace_milli = said.pace_milli;
        }
        if let (Some(aggregate), Some(metric)) = (aggregate, said.metric_milli) {
            let before = scaling.metric_milli.unwrap_or(0);
            scaling.metric_milli = Some(match aggregate {
                Aggregate::Sum => before.saturating_add(metric),
                Aggregate::Max => before.max(metric),
            });
        }
    }
    scaling.need_milli = scaling.need_milli.max(scaling.metric_milli.unwrap_or(0));
    scaling
}

/// Why there are so many, for people; nothing where the plan alone says it.
impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milli = |value: u64| {
            let tenths = value.saturating_add(50) / 100;
            if tenths.is_multiple_of(10) || tenths >= 1000 {
                (tenths / 10).to_string()
            } else {
                format!("{}.{}", tenths / 10, tenths % 10)
            }
        };
        if self.asleep {
            return f.write_str("it sleeps: nobody asks for it, and the next request wakes it");
        }
        if self.on_trial {
            return f.write_str("1 shows that the release comes up; unused, it sleeps after that");
        }
        let mut parts = Vec::new();
        if self.rate_milli > 0 || self.edges > 0 {
            let at = if self.edges == 1 { "1 edge".to_owned() } else { format!("{} edges", self.edges) };
            let pace = match self.pace_milli {
                0 => "and no replica was ever too slow".to_owned(),
                pace => format!("and one replica answers {} a second in time", milli(pace)),
            };
            parts.push(format!("{at} plan for {} requests a second, {pace}", milli(self.rate_milli)));
        }
        if let Some(metric) = self.metric_milli {
            parts.push(format!("its metric asks for {}", milli(metric)));
        }
        if parts.is_empty() {
            return f.write_str("nobody asks for more");
        }
        let needed = match self.need_milli {
            0..50 => "less than one is".to_owned(),
            need => format!("{} are", milli(need)),
        };
        write!(f, "{}: {needed} needed", parts.join("; "))
    }
}

#[cfg(test)]
mod tests;
