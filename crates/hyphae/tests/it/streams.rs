//! Streams: much data, many at once, other runtimes, and ends that are ends.

use std::time::Duration;

use hyphae::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Node, SOON, ask, echo, key, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_megabytes_come_back_intact() {
    const SIZE: usize = 64 << 20;
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    // a pattern whose length has nothing in common with those of packets and buffers
    let pattern: Vec<u8> = (0..65_537_usize).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let twice = [&pattern[..], &pattern[..]].concat();
    let expected = twice.clone();
    let stream = a.open(b.key(), "echo").await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let writer = tokio::spawn(async move {
        for start in (0..SIZE).step_by(1 << 16) {
            let from = start % pattern.len();
            write.write_all(&twice[from..from + (1 << 16)]).await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    let (mut at, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        let got = read.read(&mut buffer).await.unwrap();
        if got == 0 {
            break;
        }
        let from = at % 65_537;
        assert!(buffer[..got] == expected[from..from + got], "from {at}");
        at += got;
    }
    assert_eq!(at, SIZE);
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_open_at_once() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let opened = tokio::time::timeout(2 * SOON, a.open(b.key(), "echo")).await;
        streams.push(opened.expect("the peer allows no more").unwrap());
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.write_u32(n as u32).await.unwrap();
    }
    for (n, stream) in streams.iter_mut().enumerate().rev() {
        assert_eq!(stream.read_u32().await.unwrap(), n as u32);
    }
    assert_eq!((a.peers()[0].connections, a.peers()[0].streams), (1, 1_000));
    drop(streams);
    until("all are gone", || a.peers()[0].streams + b.peers()[0].streams == 0).await;
}

#[tokio::test]
async fn more_streams_than_the_peer_allows_wait() {
    let b = Node::new(2).limit(|limits| limits.streams = 2).start().await;
    let a = Node::new(1).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    let first = a.open(b.key(), "echo").await.unwrap();
    let _second = a.open(b.key(), "echo").await.unwrap();
    let third = a.open(b.key(), "echo");
    tokio::pin!(third);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut third).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(SOON, third).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_used_from_threads_with_runtimes_of_their_own() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    // the first of them dials, and its runtime is gone afterwards: the connection stays
    for round in 0..3 {
        let overlay = a.clone();
        let elsewhere = move || {
            // without a timer: opening needs none of the caller's
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let answer = ask(&overlay, key(2), "elsewhere").await.unwrap();
                (answer, overlay.ping(key(2)).await.unwrap())
            })
        };
        let (answer, _) = tokio::task::spawn_blocking(elsewhere).await.unwrap();
        assert_eq!((answer.as_str(), a.peers()[0].connections), ("elsewhere", 1), "round {round}");
    }
    let mut stream = a.open(b.key(), "echo").await.unwrap();
    stream.write_all(b"hand over").await.unwrap();
    let moved = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
    });
    assert_eq!(moved.join().unwrap(), "hand over");
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_stream_and_nothing_else() {
    let panics = Protocol::streams(|_, mut stream| async move {
        stream.write_all(b"half an ans").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 0, "as the test wants it");
    });
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve("panics", panics).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let mut other = a.open(b.key(), "echo").await.unwrap();
    let mut stream = a.open(b.key(), "panics").await.unwrap();
    stream.read_exact(&mut [0; 11]).await.unwrap();
    stream.write_u8(1).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "the peer abandoned the stream");
    other.write_all(b"fine").await.unwrap();
    let mut answer = [0; 4];
    other.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"fine");
}

#[tokio::test]
async fn a_stream_dropped_before_its_end_is_an_error_on_the_other_side() {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let reads = Protocol::streams(move |_, mut stream| {
        let told = told.clone();
        async move {
            told.send(stream.read_u16().await.map(|_| vec![]).map_err(|e| e.to_string())).await.unwrap();
            let mut all = Vec::new();
            told.send(stream.read_to_end(&mut all).await.map(|_| all).map_err(|e| e.to_string()))
                .await
                .unwrap();
        }
    });
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve("reads", reads).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let mut stream = a.open(b.key(), "reads").await.unwrap();
    stream.write_all(b"whole").await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), Ok(vec![]));
    stream.shutdown().await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), Ok(b"ole".to_vec()));
    drop(stream);
    let mut stream = a.open(b.key(), "reads").await.unwrap();
    stream.write_all(b"half").await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), Ok(vec![]));
    drop(stream);
    assert_eq!(heard.recv().await.unwrap(), Err("the peer abandoned the stream".to_owned()));
}

#[tokio::test]
async fn a_slow_reader_stops_the_writer_and_no_other_stream() {
    let asleep = Protocol::streams(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let window = 64 << 10;
    let b = Node::new(2).serve("asleep", asleep).serve("echo", Protocol::streams(echo));
    let b = b.limit(|limits| limits.stream_window = window).start().await;
    let a = Node::new(1).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    let mut stream = a.open(b.key(), "asleep").await.unwrap();
    let chunk = vec![0; 4 << 10];
    let mut written = 0;
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(500), stream.write(&chunk)).await {
        written += more.unwrap();
        assert!(written <= window as usize, "more than the window: {written}");
    }
    assert!(written > window as usize / 2, "{written}");
    assert_eq!(ask(&a, b.key(), "awake").await.unwrap(), "awake");
}
