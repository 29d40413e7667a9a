//! What each node learns of a release, added up to one size on all of them.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::groups::memory_limit;
use crate::host::Host;
use crate::lan::Lan;
use crate::node::until;
use crate::runner::say;
use crate::tests;

tests!(what_nodes_learn_is_one_size_everywhere);

const MIB: u64 = 1 << 20;
/// What the manifest says, in MiB: far more than any replica holds.
const GUESS: u64 = 250;
/// What a replica holds on one node, and what more on the second.
const HELD: u64 = 20;
const MORE: u64 = 60;

/// Holds more on every other node.
const HOLDER: &str = r#"#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

on = int(os.environ["MESH_NODE"].lstrip("h"))
held = b"x" * (int(os.environ["HELD"]) + on % 2 * int(os.environ["MORE"]) << 20)

class Holder(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Holder).serve_forever()
"#;

fn holder(host: &Host) -> String {
    std::fs::write(host.work().join("holder"), HOLDER).unwrap();
    let manifest = serde_json::json!({
        "kind": "Spore", "name": "holder", "version": "v1", "command": "holder", "interpreter": "python3",
        "nutrients": { "cpu_milli": 500, "memory_mb": GUESS },
        "env": { "HELD": HELD.to_string(), "MORE": MORE.to_string() },
    });
    std::fs::write(host.work().join("holder.json"), manifest.to_string()).unwrap();
    host.mesh("build -manifest holder.json -binary holder").good().stdout.trim().to_owned()
}

/// The limit of memory that the kernel holds a process to, in MiB.
fn limit(pid: u64) -> u64 {
    memory_limit(pid) / MIB
}

/// What all nodes advise, once they say the same and that holds.
#[track_caller]
fn advice(hosts: &[Host], what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(what, || {
        let all: Vec<Value> = hosts.iter().map(|host| host.json("advise holder")).collect();
        if all.iter().all(|one| *one == all[0]) && holds(&all[0]) { Ok(all[0].clone()) } else { Err(all) }
    })
}

fn what_nodes_learn_is_one_size_everywhere() {
    let lan = Lan::new(3);
    let _cluster = Cluster::with(&lan, "", "--learning 6s");
    let (first, hosts) = (lan.host(0), lan.hosts());
    if !first.json("doctor")["labels"]["mesh.memory"].is_string() {
        return say("SKIPPED: nobody counts memory here\n");
    }
    let spore = holder(first);
    first.mesh(&format!("deploy {spore} --instances 2 --constraint host=h0,h1")).good();
    first.serves_on(&["h0", "h1"]);

    // The lower half was seen on one node, the upper half on the other, and nothing on the third.
    let of = |advice: &Value, value: &str| advice["evidence"]["memory_mb"][value].as_u64().unwrap_or(0);
    let learned = advice(hosts, "all nodes know what two have seen", |it| {
        it["evidence"]["nodes"] == 2
            && it["advised"].is_object()
            && (HELD..HELD + MORE).contains(&of(it, "p50"))
            && of(it, "max") >= HELD + MORE
    });
    let advised = learned["advised"]["memory_mb"].as_u64().unwrap();
    assert!((of(&learned, "max")..GUESS).contains(&advised), "{learned:#}");
    assert_eq!(learned["now"]["memory_mb"], GUESS, "its plan doesn't ask for it: {learned:#}");

    // The third has never run it, and its replica begins with what the others know.
    let last = lan.host(2);
    first.mesh(&format!("deploy {spore} --instances 1 --constraint host=h2 --nutrients auto")).good();
    first.serves_on(&["h2"]);
    let given = limit(last.json("ps")[0]["pid"].as_u64().unwrap());
    assert!((HELD + MORE..GUESS).contains(&given), "{given} MiB, where {advised} were advised");
    let now = advice(hosts, "all nodes say what it gets", |it| {
        it["now"]["memory_mb"].as_u64() == Some(limit(last.json("ps")[0]["pid"].as_u64().unwrap()))
    });
    assert!(now["now_because"].as_str().unwrap().contains("learned on "), "{now:#}");
}
