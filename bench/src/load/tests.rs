use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// Answers the request number n of its whole life with what `answer` says; `None` closes the connection.
fn server(answer: impl Fn(usize) -> Option<Vec<u8>> + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap(), "/", "hi");
    thread::spawn(move || {
        let mut count = 0;
        // one after the other is enough: the loads here have one connection
        for stream in listener.incoming().flatten() {
            serve(&stream, &mut count, &answer);
        }
    });
    target
}

fn serve(stream: &TcpStream, count: &mut usize, answer: impl Fn(usize) -> Option<Vec<u8>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if !line.is_empty() {
            continue;
        }
        *count += 1;
        match answer(*count) {
            Some(bytes) if (&*stream).write_all(&bytes).is_ok() => {}
            _ => return,
        }
    }
}

fn load(pace: Pace, millis: u64) -> Load {
    Load {
        connections: 1,
        pace,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(millis),
        core: None,
        judge: None,
        remote: false,
    }
}

/// The failures of a load that ends after ten right answers.
fn failures(answer: impl Fn(usize) -> Option<Vec<u8>> + Send + 'static) -> BTreeMap<Failure, u64> {
    let target = server(answer);
    let tally = run(&target, &load(Pace::Closed, 0), |answered| answered < 10).unwrap();
    assert!(tally.answered >= 10);
    tally.failures
}

#[test]
fn all_is_well_with_a_server_that_is() {
    assert_eq!(failures(|_| Some(OK.to_vec())), BTreeMap::new());
}

#[test]
fn a_connection_may_be_closed_after_an_answer_that_says_so() {
    let closing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
    assert_eq!(failures(|n| Some(if n % 2 == 0 { closing.to_vec() } else { OK.to_vec() })), BTreeMap::new());
}

#[test]
fn every_wrong_answer_is_a_failure_of_its_kind() {
    let third = |bytes: Option<&'static [u8]>| {
        move |n| if n == 3 { bytes.map(<[u8]>::to_vec) } else { Some(OK.to_vec()) }
    };
    let one = |kind| BTreeMap::from([(kind, 1)]);
    assert_eq!(failures(third(None)), one(Failure::Closed));
    assert_eq!(
        failures(third(Some(b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nhi"))),
        one(Failure::Status(503))
    );
    assert_eq!(failures(third(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nho"))), one(Failure::Wrong));
    assert_eq!(
        failures(third(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhi"))),
        one(Failure::Garbled)
    );
    assert_eq!(failures(third(Some(b"nonsense\r\n\r\n"))), one(Failure::Garbled));
}

#[test]
fn an_answer_that_breaks_off_is_cut() {
    let target = server(|n| match n {
        1 => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh".to_vec()),
        _ => Some(OK.to_vec()),
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = Target::new(listener.local_addr().unwrap(), "/", "hi");
    // passes the first connection's first answer on, and ends it
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut behind = TcpStream::connect(target.address).unwrap();
            if number == 0 {
                behind.write_all(&target.request).unwrap();
                let mut bytes = [0; 64];
                let read = std::io::Read::read(&mut behind, &mut bytes).unwrap();
                (&stream).write_all(&bytes[..read]).unwrap();
            } else {
                serve(&stream, &mut 1, |_| Some(OK.to_vec()));
            }
        }
    });
    let tally = run(&front, &load(Pace::Closed, 0), |answered| answered < 10).unwrap();
    assert_eq!(tally.failures, BTreeMap::from([(Failure::Cut, 1)]));
}

#[test]
fn an_open_load_counts_what_a_stall_held_up() {
    let stall = Duration::from_millis(200);
    let target = server(move |n| {
        if n == 20 {
            stall_for(stall);
        }
        Some(OK.to_vec())
    });
    let tally = run(&target, &load(Pace::Open(100.0), 600), |_| false).unwrap();
    assert!((40..=61).contains(&tally.answered), "{} answers", tally.answered);
    // one request was slow; a third of them was due before it was over
    assert!(tally.latency.micros(0.75) > 20_000.0, "p75 {} us", tally.latency.micros(0.75));
    assert!(tally.latency.max_micros() > 199_000.0);
}

#[expect(clippy::disallowed_methods, reason = "a server that stalls is what is tested")]
fn stall_for(duration: Duration) {
    thread::sleep(duration);
}
