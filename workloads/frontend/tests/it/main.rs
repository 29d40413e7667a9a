//! Runs the real binary against an edge made by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A running frontend, killed when dropped.
struct Frontend {
    child: Child,
    port: u16,
}

impl Frontend {
    fn start(edge: Option<SocketAddr>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frontend"));
        command.env_clear().env("PORT", "0").env("MESH_REPLICA", "frontend-1").env("MESH_NODE", "node-1");
        if let Some(edge) = edge {
            command.env("MESH_EDGE", format!("http://{edge}"));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once(':').unwrap().1.parse().unwrap();
        Self { child, port }
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: f\r\nX-Request-Id: abc\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a request's head.
fn head(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    head
}

#[test]
fn hello_shows_billings_answer_too() {
    let edge = TcpListener::bind("127.0.0.1:0").unwrap();
    let frontend = Frontend::start(Some(edge.local_addr().unwrap()));
    let billing = thread::spawn(move || {
        let (mut stream, _) = edge.accept().unwrap();
        let head = head(&stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi\n").unwrap();
        head
    });
    let answer = frontend.ask("/hello");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("hello from frontend unversioned, replica frontend-1 on node-1\n"), "{answer}");
    assert!(answer.ends_with("billing says: hi\n"), "{answer}");
    let asked = billing.join().unwrap();
    assert!(asked.starts_with("GET /billing/hello HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("X-Request-Id: abc\r\n"), "{asked}");
}

#[test]
fn a_slow_billing_doesnt_delay_the_health_check() {
    let edge = TcpListener::bind("127.0.0.1:0").unwrap();
    let frontend = Frontend::start(Some(edge.local_addr().unwrap()));
    let (answer_now, wait) = mpsc::channel::<()>();
    let billing = thread::spawn(move || {
        let (mut stream, _) = edge.accept().unwrap();
        head(&stream);
        wait.recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nat last\n").unwrap();
    });
    thread::scope(|scope| {
        let slow = scope.spawn(|| frontend.ask("/hello"));
        assert!(frontend.ask("/health").starts_with("HTTP/1.1 200 "));
        answer_now.send(()).unwrap();
        assert!(slow.join().unwrap().ends_with("billing says: at last\n"));
    });
    billing.join().unwrap();
}

#[test]
fn without_billing_it_is_a_bad_gateway_that_says_why() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = Frontend::start(Some(nobody)).ask("/hello");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("billing doesn't answer: "), "{answer}");

    let answer = Frontend::start(None).ask("/hello");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("MESH_EDGE is not set"), "{answer}");
}
