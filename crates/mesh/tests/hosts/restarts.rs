//! `mesh` is upgraded, restarted and stopped on a node under load: the others' requests don't notice, nor does anybody
//! wait for long.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, RUN};
use crate::lan::Lan;
use crate::load::Load;
use crate::node::until;
use crate::runner::say;
use crate::tests;
use crate::workloads::spore;

tests!(
    an_upgrade_of_every_node_fails_no_request,
    a_restart_of_every_node_fails_no_request,
    a_node_that_is_stopped_takes_no_request_with_it,
    a_request_that_is_open_outlives_an_upgrade,
);

/// Connections of the load, from one host.
const CONNECTIONS: usize = 24;

/// Three replicas of billing, and one of frontend, which is asked for what it says by itself.
fn deploy(cluster: &Cluster, lan: &Lan) {
    cluster.deploy(0, 3);
    let host = lan.host(0);
    host.mesh(&format!("deploy {} -instances 1", spore(host, "frontend", "v0.1.0"))).good();
    for host in lan.hosts() {
        host.answers("/billing/hello");
        host.answers("/frontend/health");
    }
}

/// What is asked of the edges of these hosts: both apps, by methods that may be repeated and that may not.
fn urls(lan: &Lan, hosts: &[usize]) -> Vec<String> {
    let of = |host: &usize| {
        let host = lan.host(*host);
        let (many, sole) = (host.url("/billing/hello"), host.url("/frontend/health"));
        [many.clone(), format!("POST {many}"), sole.clone(), format!("POST {sole}")]
    };
    hosts.iter().flat_map(of).collect()
}

/// The host with frontend's only replica, as another one knows it.
fn sole(lan: &Lan, asked: usize) -> usize {
    let replicas = lan.host(asked).json("ps");
    let mut ready = replicas.as_array().unwrap().iter().filter(|replica| replica["state"] == "ready");
    let frontend = ready.find(|replica| replica["appName"] == "frontend").unwrap();
    lan.hosts().iter().position(|host| frontend["nodeID"] == host.name().as_str()).unwrap()
}

/// No node was taken for anything but there.
fn nobody_was_missed(lan: &Lan) {
    for host in lan.hosts() {
        let said = host.mesh("events --json -n 1000").good().stdout;
        for bad in ["does not answer", "is dead", "has left"] {
            assert!(!said.contains(bad), "{} said {bad:?}: {said}", host.name());
        }
    }
}

fn told(what: &str, load: &Load) {
    say(&format!(
        "{what}: {} requests, {} reopened, the slowest took {:?}\n",
        load.good, load.reopened, load.slowest
    ));
}

fn an_upgrade_of_every_node_fails_no_request() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    deploy(&cluster, &lan);
    let before = lan.host(0).replicas();
    for host in lan.hosts() {
        let ((), load) = lan.host(0).while_asking(CONNECTIONS, &urls(&lan, &[0, 1, 2]), |asking| {
            asking.answers(200);
            host.mesh("upgrade").good();
            asking.answers(400);
        });
        told(&format!("upgrade of {}", host.name()), &load);
        let load = load.flawless();
        assert!(load.slowest < Duration::from_secs(5), "{:?}", load.slowest);
    }
    nobody_was_missed(&lan);
    assert_eq!(lan.host(0).replicas(), before);
}

fn a_restart_of_every_node_fails_no_request() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    let keep = format!("{RUN} --keep-workloads");
    (0..3).for_each(|host| cluster.run_as(host, &keep));
    lan.hosts().iter().for_each(|host| host.sees(lan.hosts()));
    deploy(&cluster, &lan);
    let before = lan.host(0).replicas();
    for host in 0..3 {
        let ((), load) = lan.host(0).while_asking(CONNECTIONS, &urls(&lan, &[0, 1, 2]), |asking| {
            asking.answers(200);
            assert_eq!(cluster.node(host, |node| node.stop()), 0);
            cluster.run_as(host, &keep);
            asking.answers(400);
        });
        told(&format!("restart of h{host}"), &load);
        load.flawless();
    }
    assert_eq!(lan.host(0).replicas(), before);
}

fn a_node_that_is_stopped_takes_no_request_with_it() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    deploy(&cluster, &lan);
    let gone = sole(&lan, 0);
    let others: Vec<usize> = (0..3).filter(|host| *host != gone).collect();
    let ((), load) = lan.host(others[0]).while_asking(CONNECTIONS, &urls(&lan, &others), |asking| {
        asking.answers(200);
        assert_eq!(cluster.node(gone, |node| node.stop()), 0);
        asking.answers(400);
    });
    told(&format!("stop of h{gone}"), &load);
    load.flawless();
    assert_ne!(sole(&lan, others[0]), gone);
}

/// Answers `/slow` when it is told to by `/go`, and everything with how often it was asked for `/slow`.
const SLOW: &str = r#"#!/usr/bin/env python3
import os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GO = threading.Event()
SLOW = []

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            SLOW.append(1)
            GO.wait()
        if self.path == "/go":
            GO.set()
        body = str(len(SLOW)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn a_request_that_is_open_outlives_an_upgrade() {
    let lan = Lan::new(2);
    let _cluster = Cluster::on(&lan);
    let (here, there) = (lan.host(0), lan.host(1));
    std::fs::write(here.work().join("slow"), SLOW).unwrap();
    here.mesh("deploy slow --constraint host=h1").good();
    here.answers("/slow/now");
    let ask = |path: &str| here.get(&here.url(path)).unwrap();
    let before = there.json("status")["pid"].clone();
    std::thread::scope(|scope| {
        let open = scope.spawn(|| ask("/slow/slow").status);
        until("it is asked", || Some(ask("/slow/now").body).filter(|asked| asked == "1").ok_or(()));
        let upgraded = scope.spawn(|| there.mesh("upgrade"));
        until("the next one serves", || {
            let status =
                serde_json::from_str::<Value>(&there.mesh("status --json").stdout).unwrap_or_default();
            if status["pid"].is_u64() && status["pid"] != before { Ok(()) } else { Err(status) }
        });
        assert_eq!(ask("/slow/now").body, "1");
        assert!(!open.is_finished() && !upgraded.is_finished(), "the request is still open");
        ask("/slow/go");
        assert_eq!(open.join().unwrap(), 200);
        upgraded.join().unwrap().good();
    });
}
