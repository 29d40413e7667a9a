//! The agents of this machine: one a node, each with what all of them share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::{Agent, AgentHandle, Born, Planner, Ports, Timing};
use fabric::Fabric;
use genome::{Node, Pressure};
use membrane::KeeperConfig;
use repo::Repo;
use soul::{Custodian, SecretKey, TrustStore};
use types::NodeName;

use crate::admission::{Rules, WORKER};
use crate::clock::SystemClock;
use crate::config::{Config, StartError};
use crate::events::EventLog;
use crate::machine::Machine;
use crate::nodes::Nodes;
use crate::otlp;
use crate::quarantine::Quarantine;
use crate::sight::{Sight, Watched};
use crate::traffic::EdgeTraffic;
use crate::vault::Vault;

/// What all agents work with.
pub(super) struct Shared {
    pub(super) fabric: Fabric,
    pub(super) planner: Arc<Planner>,
    pub(super) keeper: KeeperConfig,
    pub(super) repo: Repo,
    pub(super) trust: Arc<TrustStore>,
    pub(super) traffic: EdgeTraffic,
    pub(super) events: EventLog,
    pub(super) quarantine: Quarantine,
    pub(super) sight: Sight,
}

/// The program that evaluates policies: this very one, even when another has taken its place on disk.
fn worker(program: &Path) -> PathBuf {
    let own = Path::new("/proc/self/exe");
    let is_own = std::fs::read_link(own).is_ok_and(|exe| exe == program);
    if is_own { own.to_owned() } else { program.to_owned() }
}

/// Starts every agent; each has taken up what ran before it when this returns.
pub(super) async fn start_agents(
    config: &Config,
    shared: Shared,
    nodes: &Nodes,
    (edge_url, addresses): (&str, Vec<String>),
) -> Result<Vec<(NodeName, AgentHandle)>, StartError> {
    let machine = Machine::read();
    let capacity = machine.share(config.nodes);
    let mut labels = BTreeMap::from([("host".to_owned(), machine.host.clone())]);
    labels.extend(config.labels.clone());
    let facts = tokio::task::spawn_blocking(membrane::Facts::find).await.expect("finding out doesn't panic");
    labels.extend(facts.labels());
    let describe = |name: &NodeName| Node {
        node_id: name.clone(),
        host: machine.host.clone(),
        capacity,
        labels: labels.clone(),
        addresses: addresses.clone(),
        version: config.version.clone(),
        pressure: Pressure::None,
    };
    nodes.publish(&shared.fabric, describe, SystemClock.now())?;
    let present = nodes.present.keys().cloned().collect();
    agent::retire(&shared.keeper, &present, &config.paths.run()).await?;
    let evaluator = policy::Evaluator::new(worker(&config.program), &[WORKER]);
    let admission = Arc::new(Rules { fabric: shared.fabric.clone(), evaluator });
    let (ports, traffic) = (Arc::new(Ports::default()), Arc::new(shared.traffic));
    let collector = otlp::collector(config).await;
    let vault = Vault::open(&config.paths)?.map(Arc::new);
    let sight = shared.sight.clone();
    let born: Arc<dyn Fn(Born) + Send + Sync> = Arc::new(move |born| sight.watch(Watched::born(born)));
    let mut agents = Vec::new();
    for (name, key) in &nodes.present {
        let events = shared.events.clone();
        let deps = agent::Deps {
            admission: admission.clone(),
            fabric: shared.fabric.clone(),
            planner: shared.planner.clone(),
            keeper: shared.keeper.clone(),
            repo: shared.repo.clone(),
            trust: shared.trust.clone(),
            custodians: custodians(key, vault.as_ref()),
            signer: key.clone(),
            traffic: traffic.clone(),
            ports: ports.clone(),
            events: Arc::new(move |event| events.record(event)),
            born: born.clone(),
            witness: Arc::new(shared.quarantine.handler(format!("the agent of {name}"))),
            clock: Arc::new(|| SystemClock.now()),
        };
        let set_up = agent::Config {
            node: describe(name),
            run_dir: config.paths.run().join(name.as_str()),
            logs_dir: config.paths.logs().join(name.as_str()),
            profiles_dir: config.paths.profiles(),
            layers: facts.layers.clone(),
            edge_url: edge_url.to_owned(),
            collector: collector.clone(),
            environment: config.environment.clone(),
            timing: Timing { learn: config.learning, ..Timing::default() },
        };
        let started = Agent::new(set_up, deps).start().await;
        let handle = started.map_err(|source| StartError::Node { node: name.to_string(), source })?;
        agents.push((name.clone(), handle));
    }
    Ok(agents)
}

/// Who opens secrets on a node: its own key, then the key service.
fn custodians(key: &Arc<SecretKey>, vault: Option<&Arc<Vault>>) -> Vec<Arc<dyn Custodian>> {
    let own: Arc<dyn Custodian> = key.clone();
    let elsewhere = vault.cloned().map(|vault| -> Arc<dyn Custodian> { vault });
    [own].into_iter().chain(elsewhere).collect()
}
