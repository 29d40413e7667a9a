//! What replicas use: read by one, for all who want to know.

use std::sync::Arc;

use agent::{AgentHandle, Sample, Samples, Standing};
use fabric::View;
use membrane::Limits;
use types::{AppName, Workload};

use crate::rig::{PATIENCE, Rig};

/// Whether the kernel counts nothing here: said loudly, for then nothing is tested.
pub async fn uncounted(rig: &Rig) -> bool {
    let (keeper, ..) = membrane::Keeper::attach(rig.keeper_config()).await.unwrap();
    match &keeper.budgets().unwrap().cpu {
        membrane::Hold::By(_) => false,
        membrane::Hold::Not(why) => {
            println!("SKIPPED: {why}");
            true
        }
    }
}

/// The next reading in which `holds`.
pub async fn until(agent: &AgentHandle, holds: impl Fn(&[Sample]) -> bool) -> Arc<Samples> {
    let mut samples = agent.samples();
    let wait = samples.wait_for(|samples| holds(&samples.replicas));
    tokio::time::timeout(PATIENCE, wait).await.expect("a reading should come").unwrap().clone()
}

/// How `app` stands, once `holds` of it.
async fn stands(agent: &AgentHandle, app: &str, holds: impl Fn(&Standing) -> bool) -> Standing {
    let mut samples = agent.samples();
    let name = AppName::new(app).unwrap();
    let wait = samples.wait_for(|samples| samples.apps.get(&name).is_some_and(&holds));
    let found = tokio::time::timeout(PATIENCE, wait).await.expect("it should come to stand so").unwrap();
    found.apps[&name]
}

/// What the kernel is told of the weight of the one replica.
fn weight(samples: &[Sample]) -> u32 {
    samples.first().map_or(0, |sample| sample.limits.cpu_milli)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_left_over_buys_it_more_until_it_is_spent() {
    let mut rig = Rig::new(1).await;
    if uncounted(&rig).await {
        return rig.stop().await;
    }
    let release = rig.publish("hungry", "v1", |document| document["nutrients"]["cpu_milli"] = 200.into());
    rig.plan("hungry", &release, 1);
    rig.serves("hungry", &release, 1).await;
    let agent = rig.agents.values().next().unwrap();
    let saved = stands(agent, "hungry", |at| at.credits * 2 > at.cap).await;
    assert_eq!((saved.cap, saved.weight_milli, saved.bursts), (2_000_000, 200, false));
    // what was left over outlives the agent
    let said = |view: &View| view.credits.values().next().map(|row| row.earned).filter(|earned| *earned > 0);
    rig.until("a row of its credits", said).await;
    rig.crash().await;
    rig.start().await;
    let agent = rig.agents.values().next().unwrap();
    let kept = stands(agent, "hungry", |_| true).await;
    assert!(kept.credits >= saved.credits, "{} of {}", kept.credits, saved.credits);
    rig.requests.get("hungry", "/spin", 0).unwrap();
    let more = stands(agent, "hungry", |at| at.bursts).await;
    assert_eq!(more.weight_milli, 100_000, "all that is free on the node");
    until(agent, |all| weight(all) == 100_000).await;
    let poor = stands(agent, "hungry", |at| at.credits == 0).await;
    assert_eq!((poor.weight_milli, poor.bursts), (200, false));
    let last = until(agent, |all| weight(all) == 200).await;
    let Limits { memory, .. } = last.replicas[0].limits;
    assert_eq!(memory, 64 << 20, "its other limits are what they were");
    let row = rig.fabric.view().credits.values().next().unwrap().clone();
    assert!(row.spent > 0 && row.spent <= row.earned, "{row:?}");
    rig.stop().await;
}

pub fn cpu(samples: &[Sample], app: &str) -> u64 {
    let of = samples.iter().filter(|sample| sample.app.as_str() == app);
    of.map(|sample| sample.usage.cpu_usec.unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_replica_uses_is_read_and_handed_out() {
    let rig = Rig::new(1).await;
    if uncounted(&rig).await {
        return rig.stop().await;
    }
    let agent = rig.agents.values().next().unwrap();
    assert_eq!(agent.samples().borrow().at, None, "nobody runs, so nothing is read");
    let (busy, idle) = (rig.job("busy", &["spin"], Workload::Worker), rig.service("idle", "v1"));
    rig.plan("busy", &busy, 1);
    rig.plan("idle", &idle, 2);
    let first = until(agent, |all| all.len() == 3 && all.iter().all(|sample| sample.ready)).await;
    let of_idle: Vec<&Sample> =
        first.replicas.iter().filter(|sample| sample.app.as_str() == "idle").collect();
    assert!(of_idle.iter().all(|sample| (sample.digest, sample.nutrients) == (idle.digest, idle.nutrients)));
    assert!(
        of_idle.iter().all(|sample| sample.limits.memory == 64 << 20 && sample.usage.memory.unwrap() > 0)
    );
    assert!(first.replicas.iter().all(|sample| sample.ready_at.unwrap() <= first.mono));
    let used = cpu(&first.replicas, "busy");
    let then = until(agent, |all| cpu(all, "busy") > used + 100_000).await;
    assert!(then.mono > first.mono && then.at > first.at);
    rig.plan("busy", &busy, 0);
    until(agent, |all| all.len() == 2).await;
    rig.stop().await;
}
