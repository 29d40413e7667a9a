//! What comes over the socket, whoever sends it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use membrane::Exit;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{Client, Nest};

fn connect(nest: &Nest) -> UnixStream {
    UnixStream::connect(nest.path("keeper/sock")).unwrap()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0];
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn receive(stream: &mut UnixStream) -> Value {
    let mut header = [0; 8];
    stream.read_exact(&mut header).unwrap();
    let mut payload = vec![0; u32::from_be_bytes(header[4..].try_into().unwrap()) as usize];
    stream.read_exact(&mut payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn ask(stream: &mut UnixStream, request: &Value) -> Value {
    stream.write_all(&frame(request.to_string().as_bytes())).unwrap();
    receive(stream)
}

/// The keeper still does what it should.
async fn check(nest: &Nest, client: &mut Client) {
    client.keeper.spawn(nest.shell("check", "echo fine")).await.unwrap();
    assert_eq!(client.exit_of("check").await, Exit::Code(0));
    client.keeper.forget("check").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_calls_and_wrong_arguments_are_answered() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut stream = connect(&nest);
    let kind = |answer: &Value| answer["error"]["kind"].as_str().unwrap_or_default().to_owned();
    let answer = ask(&mut stream, &json!({ "id": 7, "call": "levitate", "args": { "height": 3 } }));
    assert_eq!((answer["re"].as_u64(), kind(&answer)), (Some(7), "unsupported".to_owned()));
    for (call, args) in [
        ("spawn", json!({ "id": "x" })),
        ("spawn", json!([1, 2])),
        ("stop", json!({ "grace_ms": -1, "id": "x" })),
        ("forget", Value::Null),
        ("sockets", json!({ "name": 3 })),
        ("upgrade", json!({ "program": "/no/such" })),
        ("upgrade", json!({ "program": "zero\0byte" })),
    ] {
        let answer = ask(&mut stream, &json!({ "id": 8, "call": call, "args": args }));
        assert_eq!((answer["re"].as_u64(), kind(&answer)), (Some(8), "refused".to_owned()), "{call}");
    }
    let answer = ask(&mut stream, &json!({ "id": 9, "call": "stop", "args": { "id": "x" } }));
    assert_eq!(kind(&answer), "unknown");
    // fields of a newer client are passed over
    let answer = ask(&mut stream, &json!({ "id": 9, "call": "attach", "args": { "new": 1 }, "newer": 2 }));
    assert_eq!(answer["ok"]["processes"], json!([]));
    check(&nest, &mut client).await;
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_ends_its_connection_and_nothing_else() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let inputs: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        &[1, 3, 0, 0, 0, 0, 0, 0],
        &frame(b"not json"),
        &frame(b"{}"),
        &frame(br#"{"id": "x", "call": 3}"#),
        &frame("[".repeat(100_000).as_bytes()),
    ];
    for input in inputs {
        let mut stream = connect(&nest);
        stream.write_all(input).unwrap();
        // the keeper may close with some of it unread
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"", "{:?}", String::from_utf8_lossy(input));
    }
    // half a frame, and gone
    connect(&nest).write_all(&frame(b"{}")[..9]).unwrap();
    check(&nest, &mut client).await;
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_kill_the_keeper() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let pid = client.keeper.pid();
    let calls = prop::sample::select(vec!["spawn", "stop", "kill", "forget", "sockets", "keep-sockets", "x"]);
    let texts = prop::sample::select(vec!["", "a", "/", "\u{0}", "99999999999999999999", "null"]);
    let keys = prop::sample::select(vec!["id", "name", "grace_ms", "program", "args", "env", "cwd", "note"]);
    let valid =
        (any::<u64>(), calls, prop::collection::vec((keys, texts), 0..6)).prop_map(|(id, call, args)| {
            let args: serde_json::Map<_, _> =
                args.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            frame(json!({ "id": id, "call": call, "args": args }).to_string().as_bytes())
        });
    let framed = prop::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| frame(&bytes));
    let raw = prop::collection::vec(any::<u8>(), 0..64);
    let inputs = prop::collection::vec(prop_oneof![3 => valid, 1 => framed, 1 => raw], 1..8);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    runner
        .run(&inputs, |chunks| {
            let mut stream = connect(&nest);
            for chunk in chunks {
                // it may have hung up already
                let _ = stream.write_all(&chunk);
            }
            Ok(())
        })
        .unwrap();
    check(&nest, &mut client).await;
    assert_eq!(client.keeper.pid(), pid);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_hurts_nobody() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let mut deaf = connect(&nest);
    deaf.set_nonblocking(true).unwrap();
    let request = frame(br#"{"id": 1, "call": "attach"}"#);
    // until neither side's buffer takes any more
    for _ in 0..100_000 {
        if deaf.write_all(&request).is_err() {
            break;
        }
    }
    check(&nest, &mut client).await;
    client.end().await;
}
