//! Secrets in a mesh of many: only nodes that may run the app can open them, and what all nodes hear of them is sealed.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::process::Pid;

use crate::cluster::Cluster;
use crate::lan::Lan;
use crate::tests;

tests!(a_secret_is_opened_where_its_app_may_run_and_nowhere_else_in_the_mesh);

const CANARY: &str = "canary-of-the-hosts-5eedcafef00d";

/// Ready only where it reads the canary.
const READER: &str = r#"#!/usr/bin/env python3
import hashlib, os
from http.server import BaseHTTPRequestHandler, HTTPServer

value = open("/run/secrets/db-password", "rb").read()
assert hashlib.sha256(value).hexdigest() == "DIGEST"

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

/// Whether it is in the memory of a node: what it sends and hears, opened, goes through that.
fn in_memory(pid: Pid) -> bool {
    let pid = pid.as_raw_nonzero();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mut part = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
        memory.read_exact_at(&mut part, number(from)).is_ok() && holds(&part)
    })
}

fn in_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => in_files(&entry.path()),
        Ok(kind) if kind.is_file() => holds(&std::fs::read(entry.path()).unwrap_or_default()),
        _ => false,
    })
}

fn a_secret_is_opened_where_its_app_may_run_and_nowhere_else_in_the_mesh() {
    let lan = Lan::new(3);
    let cluster = Cluster::on(&lan);
    let (operator, one) = (lan.host(0), lan.host(1));
    let digest = types::Digest::of(CANARY.as_bytes()).to_string();
    std::fs::write(operator.work().join("reader"), READER.replace("DIGEST", &digest)).unwrap();
    // Outside of what is searched.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), CANARY).unwrap();
    operator.mesh(&format!("secret set db-password --from-file {}", file.path().display())).good();
    operator.mesh("deploy reader --secret db-password --constraint host=h1").good();
    one.event(0, "its delivery", |event| event["kind"] == "secret-delivered");
    let listed = operator.json("secret list");
    assert_eq!((&listed[0]["nodes"], &listed[0]["current"]), (&1.into(), &true.into()), "{listed}");
    // It moves: the next node gets a share before it is asked to run it.
    operator.mesh("deploy reader --constraint host=h2").good();
    lan.host(2).event(0, "its delivery", |event| event["kind"] == "secret-delivered");
    for host in lan.hosts() {
        assert!(!in_files(&host.state()) && !in_files(&host.work()), "{} has it on disk", host.name());
        let heard = cluster.node(host.number(), |node| in_memory(node.pid()));
        assert!(!heard, "{} has it in memory", host.name());
        assert!(!cluster.node(host.number(), |node| holds(node.log().as_bytes())));
    }
    // Searched like this it is found, once everybody is told it.
    operator.mesh(&format!("config set leak --from-file {}", file.path().display())).good();
    operator.mesh(&format!("env set reader LEAK={CANARY} --no-wait")).good();
    crate::node::until("the leak is everywhere", || {
        let found = lan.hosts().iter().all(|host| in_files(&host.state()));
        let heard = cluster.node(1, |node| in_memory(node.pid()));
        if found && heard { Ok(()) } else { Err((found, heard)) }
    });
}
