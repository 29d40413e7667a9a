//! The example workloads, from the same target folder as the binary under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;

/// Builds them when they aren't there. Not for a cell: in it there is no network to fetch anything from.
pub fn build() {
    let folder = folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "billing", "-p", "frontend"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
}

/// A spore of a workload, packed in a host; its path.
pub fn spore(host: &Host, name: &str, version: &str) -> String {
    let manifest = format!("{name}.json");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::copy(examples.join(&manifest), host.work().join(&manifest)).unwrap();
    let line = format!("build -manifest {manifest} -binary {} -tag {version}", folder().join(name).display());
    host.mesh(&line).good().stdout.trim().to_owned()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mesh")).parent().unwrap().to_owned()
}

/// Deploys one replica of a workload from a host, to run on a node; it is ready when this returns.
pub fn deploy_to(host: &Host, name: &str, node: &str) {
    let spore = spore(host, name, "v0.1.0");
    host.mesh(&format!("deploy {spore} --constraint host={node}")).good();
}

/// Deploys a workload in Python that calls billing: by its edge, and by its name with the edge for a proxy.
pub fn python(host: &Host, name: &str, node: &str) {
    std::fs::write(host.work().join(name), CALLER).unwrap();
    host.mesh(&format!("deploy {name} --constraint host={node}")).good();
}

/// No framework, and nothing of the mesh but what stands in its environment.
const CALLER: &str = r#"#!/usr/bin/env python3
import os, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EDGE = os.environ["MESH_EDGE"]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/by-edge":
            text = urllib.request.urlopen(EDGE + "/billing/hello").read()
        elif self.path == "/by-name":
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": EDGE}))
            text = opener.open("http://billing.mesh.internal/hello").read()
        else:
            text = (self.headers.get("traceparent") or "nothing").encode()
        body = ("python on %s hears: " % os.environ["MESH_NODE"]).encode() + text
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;
