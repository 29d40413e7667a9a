//! A node that is killed and comes back on its port: its peers are told at once that it forgot them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyphae::Overlay;
use tokio::io::AsyncReadExt as _;

use crate::support::{Node, SOON, ask, connections, key, until};

/// Where the other process listens, and whom it dials.
const LISTEN: &str = "HYPHAE_TEST_LISTEN";
const DIAL: &str = "HYPHAE_TEST_DIAL";

/// Node 2 in a process of its own.
struct Other {
    child: Child,
    address: SocketAddr,
}

impl Other {
    /// Starts it, and waits until it listens; it dials node 1 if told where that lives.
    fn start(listen: SocketAddr, dial: Option<SocketAddr>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "restart::other", "--ignored", "--nocapture"]);
        command.env(LISTEN, listen.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(dial) = dial {
            command.env(DIAL, dial.to_string());
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.filter_map(|line| Some(line.split_once("listens on ")?.1.to_owned())).next();
        Self { child, address: said.expect("it does not start").parse().unwrap() }
    }

    /// `kill -9`.
    fn kill(mut self) -> SocketAddr {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "run by the tests below, as a process that is killed"]
fn other() {
    let Ok(listen) = std::env::var(LISTEN) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let overlay = Node::new(2).listen(&[listen.parse().unwrap()]).start().await;
        if let Ok(dial) = std::env::var(DIAL) {
            overlay.learn(key(1), &[dial.parse().unwrap()]).unwrap();
            overlay.ping(key(1)).await.unwrap();
        }
        println!("listens on {}", overlay.addresses()[0]);
        std::future::pending::<()>().await;
    });
}

/// `a` is connected with the other one, which was killed and is back: it gets to know by its first packet, long before
/// it would miss an answer.
async fn finds_out(a: &Overlay) {
    let began = Instant::now();
    let mut stream = a.open(key(2), "echo").await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "it no longer knows the connection");
    until("it is out of the pool", || connections(a, key(2)) == 0).await;
    assert_eq!(ask(a, key(2), "again").await.unwrap(), "again");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_and_is_back_on_its_port_resets_what_it_was_dialled_for() {
    let a = Node::new(1).start().await;
    let other = Other::start("127.0.0.1:0".parse().unwrap(), None);
    a.learn(key(2), &[other.address]).unwrap();
    ask(&a, key(2), "before").await.unwrap();
    let address = other.kill();
    let _other = Other::start(address, None);
    assert_eq!(connections(&a, key(2)), 1, "nobody said goodbye");
    finds_out(&a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_and_is_back_on_its_port_resets_what_it_dialled() {
    let a = Node::new(1).start().await;
    let other = Other::start("127.0.0.1:0".parse().unwrap(), Some(a.addresses()[0]));
    a.learn(key(2), &[other.address]).unwrap();
    assert_eq!(connections(&a, key(2)), 1, "it dialled");
    let address = other.kill();
    let _other = Other::start(address, None);
    finds_out(&a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unused_connection_ends_with_the_next_sign_of_life() {
    let a = Node::new(1).limit(|limits| limits.keep_alive = Duration::from_millis(200)).start().await;
    let other = Other::start("127.0.0.1:0".parse().unwrap(), None);
    a.learn(key(2), &[other.address]).unwrap();
    ask(&a, key(2), "before").await.unwrap();
    let address = other.kill();
    let _other = Other::start(address, None);
    let began = Instant::now();
    until("it is told", || connections(&a, key(2)) == 0).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(ask(&a, key(2), "again").await.unwrap(), "again");
}
