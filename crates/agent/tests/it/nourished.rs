//! What replicas use: read by one, for all who want to know.

use std::sync::Arc;

use agent::{AgentHandle, Sample, Samples};
use types::Workload;

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
