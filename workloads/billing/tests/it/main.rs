//! Runs the real binary and talks to it over TCP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// A running billing, killed when dropped.
struct Billing {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Billing {
    fn start(env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_billing"))
            .env_clear()
            .env("PORT", "0")
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once(':').unwrap().1.parse().unwrap();
        Self { child, stdout, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn term(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The status it ends with, once it has said all it had to say.
    fn wait(&mut self) -> ExitStatus {
        self.stdout.read_to_string(&mut String::new()).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Billing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one response: its head and its body.
fn response(stream: &mut impl BufRead) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "the connection ended after {head:?}");
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn get(stream: &mut TcpStream, path: &str) -> (String, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: billing\r\n\r\n").unwrap();
    response(&mut BufReader::new(stream))
}

#[test]
fn it_is_healthy_and_says_hello_as_its_replica() {
    let billing = Billing::start(&[
        ("GREETING", "hi"),
        ("MESH_VERSION", "v1.2.3-abcdef0"),
        ("MESH_REPLICA", "billing-7"),
        ("MESH_NODE", "node-2"),
    ]);
    let mut stream = billing.connect();
    assert!(get(&mut stream, "/health").0.starts_with("HTTP/1.1 200 "));
    let (head, body) = get(&mut stream, "/hello?x=1");
    assert!(head.starts_with("HTTP/1.1 200 "));
    assert_eq!(body, "hi from billing v1.2.3-abcdef0, replica billing-7 on node-2\n");
    assert!(get(&mut stream, "/nothing").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_bodies_skipped() {
    let billing = Billing::start(&[]);
    let mut stream = billing.connect();
    let body = "x".repeat(100_000);
    write!(
        stream,
        "POST /health HTTP/1.1\r\nHost: b\r\nContent-Length: 100000\r\n\r\n{body}\
         GET /nothing HTTP/1.1\r\nHost: b\r\n\r\nHEAD /health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    assert!(response(&mut reader).0.starts_with("HTTP/1.1 200 "));
    assert!(response(&mut reader).0.starts_with("HTTP/1.1 404 "));
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 ") && rest.ends_with("\r\n\r\n"), "{rest:?}");
}

#[test]
fn many_connections_are_served_at_once() {
    let billing = Billing::start(&[]);
    let mut streams: Vec<_> = (0..200).map(|_| billing.connect()).collect();
    for _ in 0..5 {
        for stream in &mut streams {
            stream.write_all(b"GET /hello HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
        }
        for stream in &mut streams {
            assert!(response(&mut BufReader::new(stream)).0.starts_with("HTTP/1.1 200 "));
        }
    }
}

#[test]
fn a_client_that_stops_reading_holds_up_nobody() {
    let billing = Billing::start(&[]);
    let deaf = billing.connect();
    let mut writer = deaf.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let request = "GET /hello HTTP/1.1\r\nHost: b\r\n\r\n".repeat(1_000);
        while writer.write_all(request.as_bytes()).is_ok() {}
    });
    let mut other = billing.connect();
    for _ in 0..1_000 {
        assert!(get(&mut other, "/hello").0.starts_with("HTTP/1.1 200 "));
    }
    deaf.shutdown(std::net::Shutdown::Both).unwrap();
    flood.join().unwrap();
}

#[test]
fn sigterm_finishes_what_is_open_and_ends_with_0() {
    let mut billing = Billing::start(&[]);
    let mut idle = billing.connect();
    get(&mut idle, "/hello");
    let mut open = billing.connect();
    open.write_all(b"GET /hello HTTP/1.1\r\nHost: b\r\n").unwrap();
    // the half request is in once a later one on another connection was answered after it
    get(&mut idle, "/hello");

    billing.term();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(("127.0.0.1", billing.port)).is_err(), "the door is closed");
    open.write_all(b"\r\n").unwrap();
    let (head, _) = response(&mut BufReader::new(&mut open));
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("connection: close"), "{head}");
    assert_eq!(billing.wait().code(), Some(0));
}

#[test]
fn without_a_port_it_says_what_is_missing() {
    let output = Command::new(env!("CARGO_BIN_EXE_billing")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("PORT must be a port number"));
}
