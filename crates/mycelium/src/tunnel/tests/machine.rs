//! Machines of one mesh: each with its own overlay, edge, records and tunnels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::{BoxFuture, Traffic as _};
use edge::{Edge, Listen};
use fabric::{Authority, Fabric, MeshId, Record};
use genome::{Endpoint, Plan, Release, ReplicaState};
use hyphae::{Overlay, Protocol};
use soul::SecretKey;
use tokio::task::JoinHandle;
use types::{AppName, Digest, NodeName, PublicKey, ReplicaName, Signer as _, Timestamp};
use zeroize::Zeroizing;

use super::super::{Limits, Site, Tunnels, Ways};
use crate::routes::Routing;
use crate::traffic::EdgeTraffic;

/// A machine; the app on all of them is `app`.
pub struct Machine {
    pub overlay: Overlay,
    pub edge: Edge,
    /// Where the edge listens.
    pub at: SocketAddr,
    pub traffic: EdgeTraffic,
    fabric: Fabric,
    name: NodeName,
    sites: Arc<Mutex<BTreeMap<NodeName, Site>>>,
    following: JoinHandle<()>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// What all machines of a test know.
pub struct Mesh {
    operator: SecretKey,
    keys: BTreeMap<NodeName, Arc<SecretKey>>,
    clock: AtomicU64,
    limits: Limits,
    tweak: fn(&mut hyphae::Limits),
}

pub fn app() -> AppName {
    AppName::new("app").unwrap()
}

/// Machines named `a`, `b`, …, who know each other.
pub async fn mesh<const N: usize>() -> (Mesh, [Machine; N]) {
    mesh_with(Limits { news: Duration::from_millis(50), ..Limits::default() }, |_| {}).await
}

pub async fn mesh_with<const N: usize>(
    limits: Limits,
    tweak: fn(&mut hyphae::Limits),
) -> (Mesh, [Machine; N]) {
    let name = |i: usize| NodeName::new(["a", "b", "c"][i]).unwrap();
    let keys = (0..N).map(|i| (name(i), Arc::new(SecretKey::generate().unwrap()))).collect();
    let operator = SecretKey::generate().unwrap();
    let mesh = Mesh { operator, keys, clock: AtomicU64::new(1), limits, tweak };
    let mut machines = Vec::new();
    for i in 0..N {
        machines.push(mesh.machine(name(i), u8::try_from(i + 1).unwrap(), ([127, 0, 0, 1], 0).into()).await);
    }
    for one in &machines {
        for other in machines.iter().filter(|other| other.name != one.name) {
            one.overlay.learn(other.overlay.key(), other.overlay.addresses()).unwrap();
            one.site(other, Site::There(other.overlay.key()));
        }
    }
    (mesh, machines.try_into().ok().unwrap())
}

impl Mesh {
    /// The next start of a machine that was closed, known to `other`.
    pub async fn again(&self, before: &Machine, other: &Machine) -> Machine {
        let seed = before.name.as_str().bytes().next().unwrap() - b'a' + 1;
        let at = before.overlay.addresses()[0];
        eventually("its port is free", || std::net::UdpSocket::bind(at).is_ok()).await;
        let machine = self.machine(before.name.clone(), seed, at).await;
        machine.overlay.learn(other.overlay.key(), other.overlay.addresses()).unwrap();
        machine
    }

    async fn machine(&self, name: NodeName, seed: u8, listen: SocketAddr) -> Machine {
        let nodes = self.keys.iter().map(|(name, key)| (name.clone(), key.public_key())).collect();
        let authority =
            Authority { operators: [self.operator.public_key()].into(), nodes, ..Authority::default() };
        let set_up = fabric::Config { mesh: MeshId::from_bytes([5; 32]), authority, journal: None };
        let (fabric, _) = Fabric::new(set_up, [], Timestamp::from_secs(0)).unwrap();
        let digest = Digest::from_bytes([7; 32]);
        let release: Release = serde_json::from_value(serde_json::json!({ "digest": digest })).unwrap();
        let plan = Record::plan(fabric.mesh(), 1, &Plan::new(app(), release, 1), &self.operator).unwrap();
        fabric.publish_plan(plan, Timestamp::from_secs(1)).unwrap();
        let me = name.clone();
        let tunnels = Tunnels::of_nodes(fabric.clone(), move |node| *node == me, self.limits.clone());
        let overlay = overlay(seed, listen, tunnels.protocols(), self.tweak).await;
        tunnels.attach(overlay.clone());
        let edge = Edge::new(edge::Config { workers: 2, ..edge::Config::default() });
        let sites = Arc::new(Mutex::new(BTreeMap::from([(name.clone(), Site::Here)])));
        let known = Arc::clone(&sites);
        let ways = Ways::over(tunnels.clone(), move |node| {
            known.lock().unwrap().get(node).copied().unwrap_or(Site::Nowhere)
        });
        let routing = Arc::new(Routing::new(fabric.clone(), edge.clone(), ways));
        routing.catch_up();
        let followed = Arc::clone(&routing);
        let following = tokio::spawn(async move { followed.follow().await });
        let at = edge.start(Listen::Bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let traffic = EdgeTraffic { edge: edge.clone(), routing, tunnels: Some(tunnels) };
        Machine { overlay, edge, at, traffic, fabric, name, sites, following }
    }

    /// The record of a replica on `on`, as `readers` get it.
    pub fn says(
        &self,
        on: &Machine,
        replica: &str,
        at: SocketAddr,
        state: ReplicaState,
        readers: &[&Machine],
    ) {
        self.says_as(on, replica, at, state, "http", readers);
    }

    /// The same for one that speaks something else.
    pub fn says_as(
        &self,
        on: &Machine,
        replica: &str,
        at: SocketAddr,
        state: ReplicaState,
        speaks: &str,
        readers: &[&Machine],
    ) {
        let now = Timestamp::from_secs(self.clock.fetch_add(1, Ordering::SeqCst));
        let digest = Digest::from_bytes([7; 32]);
        let release: Release = serde_json::from_value(serde_json::json!({ "digest": digest })).unwrap();
        let record = Endpoint {
            app_name: app(),
            url: format!("http://{at}"),
            node_id: on.name.clone(),
            replica: ReplicaName::new(replica).unwrap(),
            slot: 0,
            digest,
            version: String::new(),
            revision: release.revision(),
            state,
            warm: false,
            provides: vec![speaks.to_owned()],
            restarts: 0,
            pid: None,
            exit: None,
            message: String::new(),
            since: now,
        };
        for reader in readers {
            reader.fabric.register_endpoint(&record, &*self.keys[&on.name], now).unwrap();
        }
    }
}

impl Machine {
    /// Where `other` is from now on, as this one sees it.
    pub fn site(&self, other: &Self, site: Site) {
        self.sites.lock().unwrap().insert(other.name.clone(), site);
        self.fabric.touch(Timestamp::from_secs(1));
    }

    pub fn id(&self, replica: &str) -> String {
        format!("app/{}/{replica}", self.name)
    }

    /// Its tunnels.
    pub fn tunnels(&self) -> &Tunnels {
        self.traffic.tunnels.as_ref().unwrap()
    }

    /// As the agent does when it drains a replica.
    pub fn drained(&self, replica: &str) -> BoxFuture<()> {
        self.traffic.drained(&app(), &self.name, &ReplicaName::new(replica).unwrap())
    }

    /// As the agent does when the replica serves again.
    pub fn resumed(&self, replica: &str) {
        self.traffic.resumed(&app(), &self.name, &ReplicaName::new(replica).unwrap());
    }

    /// Waits until the edge has so many targets.
    pub async fn has_targets(&self, n: usize) {
        eventually("the edge has the targets", || self.edge.routes().apps().get(&app()) == Some(&n)).await;
    }
}

async fn overlay(
    seed: u8,
    listen: SocketAddr,
    protocols: impl IntoIterator<Item = (String, Protocol)>,
    tweak: fn(&mut hyphae::Limits),
) -> Overlay {
    let mut limits = hyphae::Limits::default();
    tweak(&mut limits);
    let config = hyphae::Config {
        key: Zeroizing::new([seed; 32]),
        listen: vec![listen],
        gate: Arc::new(|_: &PublicKey, _: &str| Ok(())),
        protocols: protocols.into_iter().collect(),
        limits,
    };
    Overlay::start(config).await.unwrap()
}

/// Waits until something holds, at most 20 s.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A number that several tasks count up.
#[derive(Clone, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn less(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
