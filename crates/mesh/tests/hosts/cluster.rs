//! A mesh of many machines: one node a host of a network, each a `mesh node run`.

use std::sync::Mutex;

use serde_json::Value;

use crate::host::{Host, Ran};
use crate::lan::Lan;
use crate::node::{Node, until};
use crate::workloads::spore;

/// How every node is run unless a test has a reason: HTTP comes in at one port everywhere.
pub const RUN: &str = "node run --edge :8080 --warmup 300ms";

/// A mesh that runs on all hosts of a network.
pub struct Cluster<'a> {
    lan: &'a Lan,
    /// How its nodes are run.
    line: String,
    nodes: Mutex<Vec<Option<Node<'a>>>>,
}

impl<'a> Cluster<'a> {
    /// Founded on the first host, joined by the others one after the other; all of them see each other.
    pub fn on(lan: &'a Lan) -> Self {
        Self::with(lan, "", "")
    }

    /// The same, founded and run with more flags.
    pub fn with(lan: &'a Lan, found: &str, run: &str) -> Self {
        let nodes = Mutex::new(lan.hosts().iter().map(|_| None).collect());
        let cluster = Self { lan, line: format!("{RUN} {run}"), nodes };
        let first = lan.host(0);
        first.mesh(&format!("node init {found}")).good();
        cluster.run(0);
        for host in &lan.hosts()[1..] {
            host.mesh(&format!("node join {}", ticket(first))).good();
            cluster.run(host.number());
        }
        lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
        cluster
    }

    /// Starts a host's node, in place of the one that ran there; returns once it serves.
    pub fn run(&self, host: usize) {
        self.run_as(host, &self.line);
    }

    /// The same with another command line.
    pub fn run_as(&self, host: usize, line: &str) {
        let before = self.nodes.lock().unwrap()[host].take();
        drop(before);
        let node = self.lan.host(host).start(line);
        node.ready();
        self.nodes.lock().unwrap()[host] = Some(node);
    }

    /// Does something with a host's running node.
    pub fn node<T>(&self, host: usize, with: impl FnOnce(&Node<'a>) -> T) -> T {
        with(self.nodes.lock().unwrap()[host].as_ref().unwrap())
    }

    /// Power fails in a host.
    pub fn power_off(&self, host: usize) {
        self.lan.host(host).power_off();
        self.nodes.lock().unwrap()[host] = None;
    }

    /// What an app is asked for at every node's edge.
    pub fn urls(&self, path: &str) -> Vec<String> {
        self.lan.hosts().iter().map(|host| host.url(path)).collect()
    }

    /// Deploys billing from a host; it is ready when this returns.
    pub fn deploy(&self, host: usize, replicas: usize) -> Ran {
        let host = self.lan.host(host);
        let spore = spore(host, "billing", "v0.1.0");
        host.mesh(&format!("deploy {spore} -instances {replicas}")).good()
    }
}

/// A ticket from an issuer.
pub fn ticket(issuer: &Host) -> String {
    issuer.mesh("ticket new").good().stdout.trim().to_owned()
}

/// A replica as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    /// The node that it runs on.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Where in its life it is.
    pub state: String,
}

impl Host {
    /// An app's URL at this host's edge.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:8080{path}", self.v4())
    }

    /// What this host's node says of each node: name and state, in order of names.
    pub fn nodes(&self) -> Vec<(String, String)> {
        let nodes = self.json("nodes");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        nodes.as_array().unwrap().iter().map(|node| (text(&node["nodeID"]), text(&node["state"]))).collect()
    }

    /// What this host's node says of one node.
    pub fn state_of(&self, node: &str) -> String {
        self.nodes().into_iter().find(|(name, _)| name == node).map(|(_, state)| state).unwrap_or_default()
    }

    /// Waits until this host's node says that these are here.
    #[track_caller]
    pub fn sees(&self, hosts: &[Host]) {
        let all: Vec<String> = hosts.iter().map(Host::name).collect();
        until(&format!("{} sees {all:?}", self.name()), || {
            let nodes = self.nodes();
            let here = |name: &String| nodes.contains(&(name.clone(), "here".into()));
            if all.iter().all(here) { Ok(()) } else { Err(nodes) }
        });
    }

    /// Waits until this host's node says that of a node.
    #[track_caller]
    pub fn says(&self, node: &str, state: &str) {
        until(&format!("{} says that {node} is {state}", self.name()), || match self.state_of(node) {
            found if found == state => Ok(()),
            found => Err(found),
        });
    }

    /// The replicas that this host's node knows of, in order.
    pub fn replicas(&self) -> Vec<Replica> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |replica: &Value| Replica {
            node: text(&replica["nodeID"]),
            name: text(&replica["replica"]),
            state: text(&replica["state"]),
        };
        let mut all: Vec<_> = self.json("ps").as_array().unwrap().iter().map(of).collect();
        all.sort();
        all
    }

    /// Waits until this host's node knows of these replicas, all of them ready: the nodes they are on, in order.
    #[track_caller]
    pub fn serves_on(&self, nodes: &[&str]) -> Vec<Replica> {
        until(&format!("{} knows of ready replicas on {nodes:?}", self.name()), || {
            let replicas = self.replicas();
            let found: Vec<_> = replicas.iter().map(|replica| replica.node.as_str()).collect();
            let ready = replicas.iter().all(|replica| replica.state == "ready");
            if ready && found == nodes { Ok(replicas.clone()) } else { Err(replicas.clone()) }
        })
    }

    /// Waits until this host's node knows of one replica, which is ready: the number of the host that it is on.
    #[track_caller]
    pub fn serves_one(&self) -> usize {
        let node = until("one replica is ready", || match &self.replicas()[..] {
            [one] if one.state == "ready" => Ok(one.node.clone()),
            other => Err(other.to_vec()),
        });
        node.trim_start_matches('h').parse().unwrap()
    }

    /// Waits until an app answers at this host's edge, asked from the host itself.
    #[track_caller]
    pub fn answers(&self, path: &str) -> String {
        until(&format!("{path} answers at {}", self.name()), || match self.get(&self.url(path)) {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            other => Err(other),
        })
    }
}
