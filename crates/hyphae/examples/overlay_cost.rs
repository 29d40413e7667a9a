//! What a connection costs: memory, the round trip of one byte beside a TCP echo, the rate of one stream.
//!
//! `cargo run --release -p hyphae --example overlay_cost`. Prints what it measured; asserts nothing.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: it prints, and ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyphae::{Config, Limits, Overlay, Protocol, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use types::PublicKey;
use zeroize::Zeroizing;

const CONNECTIONS: u32 = 500;
const ROUNDS: usize = 20_000;
const RATE: usize = 512 << 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        memory().await;
        round_trips().await;
        rate().await;
    });
}

async fn node(seed: u32, idle: Duration) -> Overlay {
    let mut key = Zeroizing::new([0; 32]);
    key[..4].copy_from_slice(&seed.to_be_bytes());
    let echo = Protocol::streams(async |_: PublicKey, stream: Stream| echo(stream).await);
    let sink = Protocol::streams(async |_: PublicKey, mut stream: Stream| {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(1..) = stream.read(&mut buffer).await {}
        stream.write_all(b"!").await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let config = Config {
        key,
        listen: vec![([127, 0, 0, 1], 0).into()],
        gate: Arc::new(|_: &PublicKey, _: &str| Ok(())),
        protocols: BTreeMap::from([("echo".to_owned(), echo), ("sink".to_owned(), sink)]),
        limits: Limits { idle, ..Limits::default() },
    };
    Overlay::start(config).await.unwrap()
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = [0; 1];
    while stream.read_exact(&mut buffer).await.is_ok() && stream.write_all(&buffer).await.is_ok() {}
}

/// Nodes that are dialled by many others, one after the other: with the first connection of a node come its buffers.
async fn memory() {
    let mut hubs = Vec::new();
    for seed in 0..2 {
        hubs.push(node(seed, Duration::from_secs(3_600)).await);
    }
    let mut nodes = Vec::new();
    for seed in 0..CONNECTIONS {
        nodes.push(node(1_000 + seed, Duration::from_secs(3_600)).await);
    }
    let mut before = resident();
    for (hub, which) in hubs.iter().zip(["first", "second"]) {
        for one in &nodes {
            one.learn(hub.key(), hub.addresses()).unwrap();
            one.ping(hub.key()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        let after = resident();
        let each = (after - before) / u64::from(CONNECTIONS);
        println!("memory: {each} kB for both ends of the {which} idle connection of {CONNECTIONS} nodes");
        before = after;
    }
    for one in nodes.iter().chain(&hubs) {
        one.close(Duration::ZERO).await;
    }
}

/// Resident memory in kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn round_trips() {
    let (a, b) = (node(1, Duration::from_secs(60)).await, node(2, Duration::from_secs(60)).await);
    a.learn(b.key(), b.addresses()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tcp_echo = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        echo(stream).await;
    });
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut stream = a.open(b.key(), "echo").await.unwrap();
    for round in 0..3 {
        println!("round {round}: one byte there and back: TCP {}", trips(&mut tcp).await);
        println!("round {round}: one byte there and back: open stream {}", trips(&mut stream).await);
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS / 4 {
            let begun = Instant::now();
            let mut stream = a.open(b.key(), "echo").await.unwrap();
            stream.write_all(&[1]).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            times.push(begun.elapsed());
            stream.shutdown().await.unwrap();
        }
        println!("round {round}: one byte there and back: a new stream each {}", spread(times));
    }
    drop((tcp, stream));
    tcp_echo.await.unwrap();
    a.close(Duration::ZERO).await;
    b.close(Duration::ZERO).await;
}

async fn trips(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        stream.write_all(&[1]).await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        times.push(begun.elapsed());
    }
    spread(times)
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn rate() {
    let (a, b) = (node(1, Duration::from_secs(60)).await, node(2, Duration::from_secs(60)).await);
    a.learn(b.key(), b.addresses()).unwrap();
    a.ping(b.key()).await.unwrap();
    let data = vec![7; 256 << 10];
    for round in 0..3 {
        let mut stream = a.open(b.key(), "sink").await.unwrap();
        let begun = Instant::now();
        for _ in 0..RATE / data.len() {
            stream.write_all(&data).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        let rate = RATE as f64 / begun.elapsed().as_secs_f64() / 1e6;
        println!("round {round}: one stream carries {rate:.0} MB/s (both ends on this machine)");
    }
    a.close(Duration::ZERO).await;
    b.close(Duration::ZERO).await;
}
