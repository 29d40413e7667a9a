//! What workloads reach, and who reaches them, where `mesh` is run by a user: by networks of their own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use crate::support::{Place, kill};

/// Says whom it reaches.
const ASKER: &str = r#"#!/usr/bin/env python3
import os, socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def by_tcp(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as asked:
            asked.sendall(b"?")
            return asked.recv(8).decode()
    except OSError as error:
        return type(error).__name__

def by_udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(20)
        asked.sendto(b"?", ("127.0.0.1", port))
        return asked.recv(8).decode()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = "ok"
        if self.path != "/health":
            listed, datagrams, other = (int(os.environ[name]) for name in ("LISTED", "DATAGRAMS", "OTHER"))
            text = " ".join([os.environ["TURN"], by_tcp(listed), by_udp(datagrams), by_tcp(other)])
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Answers one byte with some.
fn answering() -> (u16, u16) {
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let ports = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read_exact(&mut [0]).and_then(|()| stream.write_all(b"tcp"));
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, from)) = udp.recv_from(&mut [0]) {
            let _ = udp.send_to(b"udp", from);
        }
    });
    ports
}

#[test]
fn a_user_deploys_what_reaches_what_its_plan_lists_and_no_request_fails_by_an_update() {
    let Some(place) = Place::of_user() else {
        println!("SKIPPED: another user can't run this mesh; build outside of a private folder");
        return;
    };
    let doctor: serde_json::Value = serde_json::from_str(&place.mesh("doctor --json").stdout).unwrap();
    if doctor["labels"]["mesh.reach-by"] != "network" {
        println!("SKIPPED: no networks of their own here: {}", doctor["facts"]["layers"]);
        return;
    }
    let (listed, datagrams) = answering();
    let (other, _) = answering();
    place.write("asker", ASKER);
    let mesh = place.start("");
    let line = |turn: u8| {
        format!(
            "deploy asker -instances 2 --env TURN={turn} --env LISTED={listed} --env DATAGRAMS={datagrams} \
             --env OTHER={other} --reach tcp:127.0.0.1:{listed} --reach udp:127.0.0.1:{datagrams} \
             --constraint mesh.reach=yes"
        )
    };
    place.mesh(&line(1)).good();
    let expected = |turn: u8| format!("{turn} tcp udp ConnectionRefusedError");
    assert_eq!(mesh.get("/asker/hello").body, expected(1));
    mesh.while_asked("/asker/hello", || place.mesh(&line(2)).good());
    assert_eq!(mesh.get("/asker/hello").body, expected(2));

    // A relay that is killed takes its replica along, which is said, and another one comes.
    let since = place.last_event();
    let pid = place.json("ps")[0]["pid"].as_i64().unwrap();
    kill(relay_of(pid));
    place.event(since, "the end of the replica", |event| {
        event["message"].as_str().is_some_and(|said| said.contains("the relay of its network had ended"))
    });
    mesh.while_asked("/asker/hello", || {
        place.event(since, "another one", |event| event["kind"] == "health-ok");
    });
    place.mesh("down").good();
    drop(mesh);
    place.nothing_runs();
}

/// The relay beside a replica: a child of the keeper's, for the same one.
fn relay_of(pid: i64) -> i64 {
    let marker = |pid: i64| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let entry = environ.split(|byte| *byte == 0).find(|entry| entry.starts_with(b"MESH_KEEPER_ID="));
        entry.map(<[u8]>::to_vec)
    };
    let name = |pid: i64| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok());
    let mut relays = pids.filter(|other| name(*other) == "mesh-relay\n" && marker(*other) == marker(pid));
    relays.next().unwrap()
}
