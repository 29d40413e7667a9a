//! A mesh of agents in a folder of its own: real keeper, real spores, real processes, an in-memory fabric.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use agent::{Agent, AgentHandle, BoxFuture, Config, Deps, Planner, Ports, Timing, Traffic};
use fabric::{Authority, Fabric, MeshId, Record, View};
use genome::{Endpoint, Node, Plan, Pressure, Release, ReplicaState};
use membrane::{Keeper, KeeperConfig, LogLimits};
use nutrients::Rules;
use serde_json::{Value, json};
use soul::{KeyStore, SecretKey, TrustStore};
use spore::{Source, Template, pack};
use telemetry::{Event, EventKind};
use tempfile::TempDir;
use tokio::sync::watch;
use types::{AppName, NodeName, Nutrients, ReplicaName, Signer, Timestamp, Workload};

/// Longer than anything here takes on the busiest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub dir: TempDir,
    pub fabric: Fabric,
    pub repo: repo::Repo,
    pub trust: Arc<TrustStore>,
    pub requests: Arc<Requests>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub agents: BTreeMap<NodeName, AgentHandle>,
    pub publisher: Arc<SecretKey>,
    operator: SecretKey,
    node_keys: BTreeMap<NodeName, Arc<SecretKey>>,
    ports: Arc<Ports>,
    planner: Arc<Planner>,
}

pub fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

fn harness() -> PathBuf {
    env!("CARGO_BIN_EXE_agent-harness").into()
}

/// The harness as a workload is: without what only debuggers read, where the machine can take that away.
fn workload() -> &'static Path {
    static WORKLOAD: OnceLock<PathBuf> = OnceLock::new();
    WORKLOAD.get_or_init(|| {
        // The user that the tests run as may be another than the one that built them.
        let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let ours = rustix::fs::access(built, rustix::fs::Access::WRITE_OK).is_ok();
        let folder = if ours { built.to_owned() } else { std::env::temp_dir() };
        let (path, fresh) =
            (folder.join("workload"), folder.join(format!("workload-{}", std::process::id())));
        let stripped = std::process::Command::new("strip").arg("-o").arg(&fresh).arg(harness()).status();
        if !stripped.is_ok_and(|status| status.success()) {
            std::fs::copy(harness(), &fresh).unwrap();
        }
        std::fs::rename(fresh, &path).unwrap();
        path
    })
}

impl Rig {
    /// Agents of `nodes` nodes, running.
    pub async fn new(nodes: usize) -> Self {
        let mut rig = Self::idle(nodes);
        rig.start().await;
        rig
    }

    fn idle(nodes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(harness(), dir.path().join("keeper-program")).unwrap();
        let keys = KeyStore::open(&dir.path().join("keys")).unwrap();
        let (publisher, operator) = (keys.ensure("publisher").unwrap().0, keys.ensure("operator").unwrap().0);
        let node_keys: BTreeMap<NodeName, Arc<SecretKey>> = (1..=nodes)
            .map(|number| format!("node-{number}"))
            .map(|name| (NodeName::new(&name).unwrap(), Arc::new(keys.ensure(&name).unwrap().0)))
            .collect();
        let authority = Authority {
            operators: [operator.public_key()].into(),
            nodes: node_keys.iter().map(|(name, key)| (name.clone(), key.public_key())).collect(),
            roots: None,
        };
        let mesh = MeshId::from_bytes([5; 32]);
        let config = fabric::Config { mesh, authority, journal: None };
        let fabric = Fabric::new(config, [], now()).unwrap().0;
        let trust = TrustStore::open(&dir.path().join("trust")).unwrap();
        trust.add(publisher.public_key(), "the tests", now()).unwrap();
        Self {
            repo: repo::Repo::open(dir.path().join("repo")).unwrap(),
            trust: Arc::new(trust),
            requests: Arc::new(Requests { fabric: fabric.clone(), open: watch::Sender::default() }),
            events: Arc::default(),
            agents: BTreeMap::new(),
            publisher: Arc::new(publisher),
            operator,
            node_keys,
            ports: Arc::default(),
            planner: Arc::new(Planner::new(fabric.clone(), |_| true)),
            fabric,
            dir,
        }
    }

    pub fn keeper_config(&self) -> KeeperConfig {
        let dir = self.dir.path().join("keeper");
        KeeperConfig { dir, program: self.keeper_program(), log_limits: LogLimits::default() }
    }

    /// What keepers of this rig are started from; a test may take it away.
    pub fn keeper_program(&self) -> PathBuf {
        self.dir.path().join("keeper-program")
    }

    /// Starts the agents of all nodes.
    pub async fn start(&mut self) {
        for (node, key) in self.node_keys.clone() {
            let config = Config {
                node: Node {
                    node_id: node.clone(),
                    host: "here".into(),
                    capacity: Nutrients { cpu_milli: 100_000, memory_mb: 100_000 },
                    labels: BTreeMap::new(),
                    addresses: Vec::new(),
                    version: "v0".into(),
                    pressure: Pressure::None,
                },
                run_dir: self.dir.path().join("run").join(node.as_str()),
                logs_dir: self.dir.path().join("logs").join(node.as_str()),
                profiles_dir: self.dir.path().join("profiles"),
                layers: membrane::Layers::find(),
                collector: None,
                edge_url: "http://127.0.0.1:8080".into(),
                environment: vec![("PATH".into(), std::env::var("PATH").unwrap())],
                timing: Timing {
                    probe_every: Duration::from_millis(50),
                    sample_every: Duration::from_millis(100),
                    credits: Rules { span: 10_000_000, every: 500_000, least: 100_000 },
                    ..Timing::default()
                },
            };
            let events = Arc::clone(&self.events);
            let deps = Deps {
                admission: Arc::new(agent::Anything),
                fabric: self.fabric.clone(),
                planner: Arc::clone(&self.planner),
                keeper: self.keeper_config(),
                repo: self.repo.clone(),
                trust: Arc::clone(&self.trust),
                custodians: vec![key.clone()],
                signer: key,
                traffic: Arc::clone(&self.requests) as Arc<dyn Traffic>,
                ports: Arc::clone(&self.ports),
                events: Arc::new(move |event| events.lock().unwrap().push(event)),
                born: Arc::new(|_| ()),
                witness: Arc::new(()),
                clock: Arc::new(now),
            };
            self.agents.insert(node, Agent::new(config, deps).start().await.unwrap());
        }
    }

    /// Ends the agents as a kill -9 would: what runs goes on.
    pub async fn crash(&mut self) {
        for (_, agent) in std::mem::take(&mut self.agents) {
            agent.detach().await;
        }
    }

    /// Stops everything; fails if something is left.
    pub async fn stop(mut self) {
        for (_, agent) in std::mem::take(&mut self.agents) {
            tokio::time::timeout(PATIENCE, agent.stop()).await.expect("the agent should stop");
        }
        let left: Vec<String> = self.states().into_iter().map(|state| format!("{state:?}")).collect();
        assert!(left.iter().all(|state| state.contains("Completed")), "{left:?}");
        for node in self.node_keys.keys() {
            let folder = self.dir.path().join("run").join(node.as_str());
            assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "a run folder is left");
        }
        self.end_keeper().await;
    }

    /// Ends the keeper; fails if it held a process.
    pub async fn end_keeper(&self) {
        let (keeper, processes, _) = Keeper::attach(self.keeper_config()).await.unwrap();
        keeper.shutdown().await.unwrap();
        assert!(processes.is_empty(), "{processes:?}");
    }

    /// A spore of the harness that runs as `args` say.
    pub fn publish(&self, name: &str, version: &str, change: impl Fn(&mut Value)) -> Release {
        let mut document = json!({
            "kind": "Spore", "name": name, "version": version, "command": "harness", "args": ["serve"],
            "env": { "GREETING": version }, "provides": ["http"],
            "nutrients": { "cpu_milli": 1, "memory_mb": 64 }, "slo": { "p99_budget_ms": 300 },
            "security": { "lsm_profile": "default", "read_only_fs": false },
        });
        change(&mut document);
        self.pack(&document, workload(), &*self.publisher)
    }

    pub fn pack(&self, document: &Value, binary: &Path, signer: &dyn Signer) -> Release {
        let template = Template::from_slice(&serde_json::to_vec(document).unwrap()).unwrap();
        let source = Source { binary, files: Vec::new(), created_at: Timestamp::from_secs(1) };
        let mut bytes = Cursor::new(Vec::new());
        pack(&template, &source, signer, &mut bytes).unwrap();
        let (digest, _) = self.repo.put(bytes.into_inner().as_slice()).unwrap();
        Release {
            digest,
            version: template.version().to_owned(),
            workload: template.workload(),
            nutrients: template.nutrients(),
            port: 0,
            env: BTreeMap::new(),
            restart: 0,
            profile: None,
            reach: Vec::new(),
            settings: Default::default(),
        }
    }

    /// A service that is as healthy as one can be.
    pub fn service(&self, name: &str, version: &str) -> Release {
        self.publish(name, version, |_| ())
    }

    pub fn job(&self, name: &str, args: &[&str], workload: Workload) -> Release {
        self.publish(name, "v1", |document| {
            document["args"] = json!(args);
            document["provides"] = json!([]);
            document["workload"] = json!(workload);
        })
    }

    /// Publishes a plan for `replicas` of `release`, with a warm-up that a test can wait for.
    pub fn plan(&self, name: &str, release: &Release, replicas: u32) {
        self.plan_as(name, release, replicas, |plan| plan.warmup_ms = 200);
    }

    pub fn plan_as(&self, name: &str, release: &Release, replicas: u32, change: impl Fn(&mut Plan)) {
        let mut plan = Plan::new(app(name), release.clone(), replicas);
        let view = self.fabric.view();
        let before = view.plans.get(&app(name));
        plan.previous = before.map(|entry| genome::Previous {
            generation: entry.generation,
            release: entry.value.release.clone(),
        });
        change(&mut plan);
        let generation = before.map_or(1, |entry| entry.generation + 1);
        let record = Record::plan(self.fabric.mesh(), generation, &plan, &self.operator).unwrap();
        self.fabric.publish_plan(record, now()).unwrap();
    }

    /// Waits until `holds` gives something for what the fabric says.
    pub async fn until<T>(&self, what: &str, holds: impl Fn(&View) -> Option<T>) -> T {
        let mut changes = self.fabric.subscribe();
        let wait = async {
            loop {
                changes.changed().await;
                if let Some(found) = holds(&self.fabric.view()) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("{what} should come; there is {:#?}", self.endpoints()),
        }
    }

    /// Waits until the replicas of `name` are `count` ready ones of `release`, and no other.
    pub async fn serves(&self, name: &str, release: &Release, count: usize) -> Vec<Arc<Endpoint>> {
        let revision = release.revision();
        self.until(&format!("{count} of {name} {}", release.version), |view| {
            let all: Vec<Arc<Endpoint>> = view.endpoints_of(&app(name)).cloned().collect();
            let fit = all.iter().all(|endpoint| endpoint.is_ready() && endpoint.revision == revision);
            (fit && all.len() == count).then_some(all)
        })
        .await
    }

    /// Waits until some replica of `name` is in `state`.
    pub async fn sees(&self, name: &str, state: ReplicaState) -> Arc<Endpoint> {
        self.until(&format!("{name} in {state}"), |view| {
            view.endpoints_of(&app(name)).find(|endpoint| endpoint.state == state).cloned()
        })
        .await
    }

    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.fabric.view().endpoints().cloned().collect()
    }

    pub fn states(&self) -> Vec<(AppName, ReplicaState)> {
        self.endpoints().iter().map(|endpoint| (endpoint.app_name.clone(), endpoint.state)).collect()
    }

    pub fn count(&self, kind: EventKind) -> usize {
        self.events.lock().unwrap().iter().filter(|event| event.kind == kind).count()
    }

    pub fn messages(&self, kind: EventKind) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.kind == kind).map(|event| event.message.clone()).collect()
    }
}

/// A test that failed leaves no process behind.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let config = self.keeper_config();
            let end = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (keeper, _, _) = Keeper::attach(config).await.unwrap();
                    keeper.shutdown().await.unwrap();
                });
            };
            let _ = std::thread::spawn(end).join();
        }
    }
}

/// A router of the test's own: picks ready endpoints, counts the requests that are open on each.
pub struct Requests {
    fabric: Fabric,
    open: watch::Sender<BTreeMap<ReplicaName, u32>>,
}

impl Requests {
    /// One request to a ready replica of `name`: the body of its answer.
    pub fn get(&self, name: &str, path: &str, turn: usize) -> Result<String, String> {
        let mut chosen = None;
        // Choosing and counting are one step, as they are in a router.
        self.open.send_modify(|open| {
            let view = self.fabric.view();
            let ready: Vec<_> =
                view.endpoints_of(&app(name)).filter(|endpoint| endpoint.is_ready()).collect();
            if let Some(endpoint) = ready.get(turn % ready.len().max(1)) {
                *open.entry(endpoint.replica.clone()).or_default() += 1;
                chosen = Some(Arc::clone(endpoint));
            }
        });
        let endpoint = chosen.ok_or("no endpoint is ready")?;
        let answer = fetch(endpoint.url.strip_prefix("http://").unwrap(), path);
        self.open.send_modify(|open| *open.entry(endpoint.replica.clone()).or_default() -= 1);
        answer.map_err(|error| format!("{} of {}: {error}", endpoint.replica, endpoint.version))
    }
}

impl Traffic for Requests {
    fn drained(&self, _: &AppName, _: &NodeName, replica: &ReplicaName) -> BoxFuture<()> {
        let (mut open, replica, fabric) = (self.open.subscribe(), replica.clone(), self.fabric.clone());
        Box::pin(async move {
            let mut changes = fabric.subscribe();
            // The record comes after the question.
            while fabric.view().endpoints().any(|other| other.replica == replica && other.is_ready()) {
                changes.changed().await;
            }
            let none = |open: &BTreeMap<ReplicaName, u32>| open.get(&replica).is_none_or(|count| *count == 0);
            let _ = open.wait_for(none).await;
        })
    }

    // What is ready is asked of the records, each time.
    fn resumed(&self, _: &AppName, _: &NodeName, _: &ReplicaName) {}
}

fn fetch(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no whole answer"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(std::io::Error::other(head.to_owned()));
    }
    Ok(body.to_owned())
}
