//! A run of a node hands over to the next: what is open goes on, what is new goes to the successor, nothing fails.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hyphae::{Gate, Overlay, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::PublicKey;

use crate::support::{Node, ask, connections, introduce, key, loopback, until};

/// Node 2, which says which of its runs it is.
fn run(name: &'static str) -> Node {
    let says = move |_: PublicKey, mut stream: hyphae::Stream| async move {
        let _ = stream.write_all(name.as_bytes()).await;
        let _ = stream.shutdown().await;
    };
    Node::new(2).serve("who", Protocol::streams(says))
}

async fn succeed(name: &'static str, before: &Overlay, left: Vec<OwnedFd>) -> Overlay {
    let successor = Overlay::succeed(run(name).listen(before.addresses()).config(), left).await.unwrap();
    assert_eq!(successor.addresses(), before.addresses());
    successor
}

async fn who(a: &Overlay) -> String {
    let mut stream = a.open(key(2), "who").await.unwrap();
    let mut name = String::new();
    stream.read_to_string(&mut name).await.unwrap();
    name
}

/// One round over a stream to an echo.
async fn round(stream: &mut hyphae::Stream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, text.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_go_on_and_new_ones_go_to_the_successor() {
    let (a, one) = (Node::new(1).start().await, run("one").start().await);
    introduce(&a, &one);
    let mut there = a.open(key(2), "echo").await.unwrap();
    let mut back = one.open(key(1), "echo").await.unwrap();
    round(&mut there, "before").await;
    round(&mut back, "before").await;
    let left = one.bequeath().unwrap();
    assert_eq!(who(&a).await, "one", "nothing changes until it comes");
    let two = succeed("two", &one, left).await;
    let large = "x".repeat(3 << 20);
    for text in ["after", &large] {
        let (mut reading, mut writing) = tokio::io::split(&mut there);
        let mut echoed = vec![0; text.len()];
        let (written, read) =
            tokio::join!(writing.write_all(text.as_bytes()), reading.read_exact(&mut echoed));
        written.unwrap();
        read.unwrap();
        assert_eq!(echoed, text.as_bytes());
        round(&mut back, "after").await;
        assert_eq!(who(&a).await, "two");
    }
    two.learn(key(1), a.addresses()).unwrap();
    assert_eq!(ask(&two, key(1), "from the successor").await.unwrap(), "from the successor");
    round(&mut there, "still there").await;
    one.close(std::time::Duration::ZERO).await;
    assert!(there.read_u8().await.is_err());
    assert_eq!((who(&a).await.as_str(), connections(&a, key(2))), ("two", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_fails_while_three_runs_follow_each_other_under_load() {
    let over = Arc::new(AtomicBool::new(false));
    let mut runs = vec![run("0").start().await];
    let clients: Vec<_> = (10..14)
        .map(|seed| {
            let (over, at, to) = (Arc::clone(&over), runs[0].addresses().to_vec(), runs[0].key());
            tokio::spawn(async move {
                let client = Node::new(seed).start().await;
                client.learn(to, &at).unwrap();
                let mut asked = 0;
                while !over.load(Ordering::SeqCst) {
                    let text = format!("{asked}").repeat(500);
                    assert_eq!(ask(&client, to, &text).await.unwrap(), text);
                    asked += 1;
                }
                (client, asked)
            })
        })
        .collect();
    for name in ["1", "2"] {
        let before = runs.last().unwrap();
        until("all are connected", || before.peers().len() == 4).await;
        let left = before.bequeath().unwrap();
        let next = succeed(name, before, left).await;
        runs.push(next);
    }
    until("all are at the last", || runs[2].peers().len() == 4).await;
    over.store(true, Ordering::SeqCst);
    for client in clients {
        let (client, asked) = client.await.unwrap();
        assert!(asked > 0);
        assert_eq!(who(&client).await, "2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_outlives_many_successors() {
    let a = Node::new(1).start().await;
    let mut runs = vec![run("0").start().await];
    introduce(&a, &runs[0]);
    let mut open = a.open(key(2), "echo").await.unwrap();
    round(&mut open, "before").await;
    for name in ["1", "2", "3", "4"] {
        let before = runs.last().unwrap();
        let next = succeed(name, before, before.bequeath().unwrap()).await;
        assert_eq!(who(&a).await, name);
        runs.push(next);
        round(&mut open, "after").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_dies_leaves_the_socket_to_the_run_before() {
    let (a, one) = (Node::new(1).start().await, run("one").start().await);
    introduce(&a, &one);
    let mut open = a.open(key(2), "echo").await.unwrap();
    round(&mut open, "before").await;
    drop(one.bequeath().unwrap());
    assert_eq!(who(&a).await, "one", "it never came");
    let two = succeed("two", &one, one.bequeath().unwrap()).await;
    assert_eq!(who(&a).await, "two");
    two.close(std::time::Duration::ZERO).await;
    drop(two);
    round(&mut open, "after").await;
    assert_eq!(who(&a).await, "one");
    let _three = succeed("three", &one, one.bequeath().unwrap()).await;
    round(&mut open, "at last").await;
    assert_eq!(who(&a).await, "three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_may_listen_on_fewer_addresses() {
    let one = run("one").listen(&[loopback(0), loopback(0)]).start().await;
    let a = Node::new(1).start().await;
    a.learn(key(2), &one.addresses()[..1]).unwrap();
    assert_eq!(who(&a).await, "one");
    let left = one.bequeath().unwrap();
    let two = Overlay::succeed(run("two").listen(&one.addresses()[..1]).config(), left).await.unwrap();
    assert_eq!((who(&a).await.as_str(), two.addresses()), ("two", &one.addresses()[..1]));
}

/// Counts the peers that hand over.
struct Counting(Arc<AtomicUsize>);

impl Gate for Counting {
    fn admits(&self, _: &PublicKey, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn retired(&self, peer: &PublicKey) {
        assert_eq!(*peer, key(2));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_know_before_the_successor_serves() {
    let told = Arc::new(AtomicUsize::new(0));
    let a = Node::new(1).gate(Counting(Arc::clone(&told))).start().await;
    let one = run("one").start().await;
    introduce(&a, &one);
    who(&a).await;
    let left = one.bequeath().unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 0);
    let _two = succeed("two", &one, left).await;
    assert_eq!(told.load(Ordering::SeqCst), 1);
}
