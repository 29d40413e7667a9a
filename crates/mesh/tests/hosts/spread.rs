//! A large spore on many nodes: whoever published it gives it to some, and these give it to the rest.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::host::Host;
use crate::lan::Lan;
use crate::node::until;
use crate::runner::say;
use crate::tests;

tests!(a_spore_that_all_nodes_run_leaves_its_publisher_few_times);

/// The nodes of the mesh.
const NODES: usize = 10;
/// The bytes of the program that don't pack.
const SIZE: usize = 24 << 20;
/// So many times may the spore leave the node that it was published on; if that served everybody it would be nine.
const COPIES: u64 = 6;

/// All that a node has sent over the connections that it has.
fn sent(host: &Host) -> u64 {
    let network = host.json("net peers");
    network["peers"].as_array().unwrap().iter().filter_map(|peer| peer["sent"].as_u64()).sum()
}

/// A program that is large because of what stands behind its end, and answers as its health check wants it.
fn program() -> Vec<u8> {
    let mut text = b"#!/usr/bin/env python3\n".to_vec();
    text.extend_from_slice(SERVER.as_bytes());
    // Base 64 of nothing that repeats itself (xorshift, Marsaglia 2003).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    text.push(b'#');
    text.extend((0..SIZE).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(state >> 32) as usize % 64]
    }));
    text.push(b'\n');
    text
}

const SERVER: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn a_spore_that_all_nodes_run_leaves_its_publisher_few_times() {
    let lan = Lan::new(NODES);
    let _cluster = Cluster::on(&lan);
    let publisher = lan.host(0);
    std::fs::write(publisher.work().join("large"), program()).unwrap();
    let before = sent(publisher);
    publisher.mesh(&format!("deploy large --instances {NODES} --no-wait")).good();
    for host in lan.hosts() {
        until(&format!("{} has it", host.name()), || match host.json("repo list") {
            Value::Array(held) if held.len() == 1 => Ok(()),
            held => Err(held),
        });
    }
    let size = publisher.json("repo list")[0]["bytes"].as_u64().unwrap();
    let uploaded = sent(publisher) - before;
    say(&format!("{size} bytes on {NODES} nodes; the publisher sent {uploaded}\n"));
    assert!(uploaded > size / 2, "it came from nowhere else: {uploaded} of {size}");
    assert!(uploaded < COPIES * size, "the publisher served everybody: {uploaded} of {size}");
}
