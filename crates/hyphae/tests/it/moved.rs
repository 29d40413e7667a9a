//! Peers that move, restart or vanish.

use std::time::{Duration, Instant};

use hyphae::Overlay;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use crate::support::{Node, SOON, ask, connections, introduce, key, last_error, until};

/// A node that can be killed: its runtime goes, with its sockets and without a word to anybody.
struct Mortal {
    overlay: Option<Overlay>,
    runtime: Option<Runtime>,
}

impl Mortal {
    async fn start(node: Node) -> Self {
        let runtime = Runtime::new().unwrap();
        let overlay = runtime.spawn(node.start()).await.unwrap();
        Self { overlay: Some(overlay), runtime: Some(runtime) }
    }

    fn overlay(&self) -> &Overlay {
        self.overlay.as_ref().unwrap()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // the tasks first: nothing may say goodbye
        self.runtime.take().unwrap().shutdown_background();
        self.overlay.take();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_killed_and_back_on_another_port_is_found_with_the_news() {
    let a = Node::new(1).start().await;
    let b = Mortal::start(Node::new(2)).await;
    a.learn(key(2), b.overlay().addresses()).unwrap();
    ask(&a, key(2), "before").await.unwrap();
    let mut cut = a.open(key(2), "echo").await.unwrap();
    cut.write_all(b"x").await.unwrap();
    let old = b.overlay().addresses()[0];
    drop(b);
    assert_eq!(connections(&a, key(2)), 1, "nobody said goodbye");

    let b = Mortal::start(Node::new(2)).await;
    assert_ne!(b.overlay().addresses()[0], old);
    let began = Instant::now();
    a.learn(key(2), b.overlay().addresses()).unwrap();
    assert_eq!(ask(&a, key(2), "after").await.unwrap(), "after");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(a.peers()[0].address, Some(b.overlay().addresses()[0]));
    let mut rest = Vec::new();
    assert!(cut.read_to_end(&mut rest).await.is_err(), "what was open broke");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_to_the_old_address_starts_again_with_the_news() {
    let a = Node::new(1).limit(|limits| limits.dial = 2 * SOON).start().await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    a.learn(key(2), &[silent.local_addr().unwrap()]).unwrap();
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { ask(&a, key(2), "found").await }
    });
    // the first packet of the dial is out
    silent.set_read_timeout(Some(2 * SOON)).unwrap();
    tokio::task::spawn_blocking(move || silent.recv(&mut [0; 2_000]).map(|_| silent)).await.unwrap().unwrap();
    let b = Node::new(2).start().await;
    let began = Instant::now();
    a.learn(key(2), b.addresses()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), "found");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_found_although_another_node_took_its_old_address() {
    let a = Node::new(1).start().await;
    let b = Mortal::start(Node::new(2)).await;
    let old = b.overlay().addresses()[0];
    a.learn(key(2), &[old]).unwrap();
    ask(&a, key(2), "before").await.unwrap();
    drop(b);
    // as DHCP and container networks do
    let usurper = loop {
        if let Ok(overlay) = Overlay::start(Node::new(3).listen(&[old]).config()).await {
            break overlay;
        }
    };
    let b = Node::new(2).start().await;
    let began = Instant::now();
    a.learn(key(2), b.addresses()).unwrap();
    assert_eq!(ask(&a, key(2), "after").await.unwrap(), "after");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    a.learn(key(3), usurper.addresses()).unwrap();
    assert_eq!(ask(&a, key(3), "me too").await.unwrap(), "me too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_that_dials_replaces_its_dead_connection_at_once() {
    let a = Node::new(1).start().await;
    let b = Mortal::start(Node::new(2)).await;
    introduce(&a, b.overlay());
    ask(&a, key(2), "before").await.unwrap();
    let mut cut = a.open(key(2), "echo").await.unwrap();
    drop(b);
    let b = Mortal::start(Node::new(2)).await;
    b.overlay().learn(a.key(), a.addresses()).unwrap();
    let began = Instant::now();
    assert_eq!(ask(b.overlay(), a.key(), "i am back").await.unwrap(), "i am back");
    assert!(cut.read_u8().await.is_err());
    // a uses the peer's new connection: it was told no new address
    assert_eq!(ask(&a, key(2), "welcome").await.unwrap(), "welcome");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanished_is_noticed() {
    let quick = |limits: &mut hyphae::Limits| {
        limits.keep_alive = Duration::from_millis(200);
        limits.dead = Duration::from_secs(3);
        limits.dial = Duration::from_millis(500);
    };
    let a = Node::new(1).limit(quick).start().await;
    let b = Mortal::start(Node::new(2)).await;
    a.learn(key(2), b.overlay().addresses()).unwrap();
    ask(&a, key(2), "hi").await.unwrap();
    let address = b.overlay().addresses()[0];
    // kept alive as long as it lives, although nobody uses it
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(connections(&a, key(2)), 1);

    drop(b);
    let mut stream = a.open(key(2), "echo").await.unwrap();
    let began = Instant::now();
    assert!(stream.read_u8().await.is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    until("it is out of the pool", || connections(&a, key(2)) == 0).await;
    assert!(last_error(&a, key(2)).contains("nothing came from it any more"), "{}", last_error(&a, key(2)));
    let error = a.open(key(2), "echo").await.unwrap_err();
    assert!(error.to_string().contains(&format!("no answer from {address}")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_said_to_be_dead_is_given_up_soon_unless_it_speaks() {
    let a = Node::new(1).start().await;
    let b = Mortal::start(Node::new(2)).await;
    let c = Node::new(3).start().await;
    a.learn(key(2), b.overlay().addresses()).unwrap();
    introduce(&a, &c);
    let (mut gone, mut well) = (a.open(key(2), "echo").await.unwrap(), a.open(key(3), "echo").await.unwrap());
    for stream in [&mut gone, &mut well] {
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);
    }
    drop(b);
    let began = Instant::now();
    a.doubt(&key(2));
    a.doubt(&key(3));
    assert!(gone.read_u8().await.is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    well.write_u8(2).await.unwrap();
    assert_eq!(well.read_u8().await.unwrap(), 2);
    assert_eq!(connections(&a, key(3)), 1);
}
