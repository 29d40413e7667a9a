//! A mesh of many machines, one node a host, named like it.

use crate::host::Host;
use crate::http::at;
use crate::lan::Lan;
use crate::node::Node;
use crate::workloads::spore;

/// The nodes that run, in the order of their hosts.
pub struct Many<'a> {
    lan: &'a Lan,
    pub nodes: Vec<Node<'a>>,
    /// Where each one's edge is, for everybody.
    pub urls: Vec<String>,
}

impl<'a> Many<'a> {
    /// Every host is a node, and each knows of every other. The first is the issuer and has the operator's key.
    pub fn up(lan: &'a Lan, flags: &str) -> Self {
        let first = lan.host(0);
        first.mesh("node init").good();
        let mut many = Self { lan, nodes: Vec::new(), urls: Vec::new() };
        many.start(0, flags);
        for host in &lan.hosts()[1..] {
            let ticket = first.mesh("ticket new").good().stdout;
            host.mesh(&format!("node join {ticket}")).good();
            many.start(host.number(), flags);
        }
        for host in lan.hosts() {
            for other in lan.hosts().iter().filter(|other| other.number() != host.number()) {
                said(host, 0, &format!("node {} is here", other.name()));
            }
        }
        many
    }

    /// Starts the node of a host, for the first time or again.
    pub fn start(&mut self, host: usize, flags: &str) {
        let node = self.lan.host(host).start(&format!("node run --edge :0 {flags}"));
        let url = at(&node.ready(), self.lan.host(host).v4());
        if host < self.nodes.len() {
            self.nodes[host] = node;
            self.urls[host] = url;
        } else {
            self.nodes.push(node);
            self.urls.push(url);
        }
    }

    /// Has billing run, so many times, from the first host.
    pub fn deploy_billing(&self, instances: u32) {
        let first = self.lan.host(0);
        let spore = spore(first, "billing", "v0.1.0");
        first.mesh(&format!("deploy {spore} -instances {instances}")).good();
    }

    /// What billing answers at a host's edge.
    pub fn billing(&self, host: usize) -> [String; 1] {
        [format!("{}/billing/hello", self.urls[host])]
    }
}

/// Waits for an event with this message.
#[track_caller]
pub fn said(host: &Host, since: u64, message: &str) {
    host.event(since, message, |event| event["message"].as_str().is_some_and(|said| said.contains(message)));
}
