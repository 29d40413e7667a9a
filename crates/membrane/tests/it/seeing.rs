//! What is seen of a group: every program and every end, every byte.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use membrane::Exit;
use membrane::bpf::{Processes, Programs, Reach, Sighting, Traffic, Watch, What};

use crate::groups::{Group, Workload, cannot};
use crate::support::HARNESS;

/// The headers of IPv4 and UDP.
const HEADERS: u64 = 20 + 8;

async fn next(watch: &mut Watch) -> Vec<Sighting> {
    tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap()
}

/// Runs a storm in a group below another, and hears of it until all was heard that was told; `reads`: also meanwhile.
#[expect(clippy::print_stdout, reason = "how fast it was belongs beside what came of it")]
async fn storm(name: &str, count: u64, reads: bool) -> (Processes, Vec<Sighting>) {
    let parent = Group::new(name);
    let (group, beside) = (parent.below("replica"), Group::new(&format!("{name}-beside")));
    let mut watch = Watch::new();
    watch.trace_below(parent.as_fd()).unwrap();
    let mut workload = Workload::new(&group, HARNESS, &["storm", &count.to_string()]);
    let mut other = Workload::new(&beside, HARNESS, &["storm", "40"]);
    let id = workload.group;
    workload.go();
    other.go();
    let mut storm = tokio::task::spawn_blocking(move || {
        let rate = workload.line();
        workload.end_with(7);
        other.end_with(7);
        rate
    });
    let mut seen = Vec::new();
    let rate = loop {
        tokio::select! {
            rate = &mut storm => break rate.unwrap(),
            more = watch.next(), if reads => seen.extend(more),
        }
    };
    let counts = watch.processes(id).unwrap();
    println!("{count} programs at {rate} a second: {counts:?}");
    while (seen.len() as u64) < counts.execs + counts.exits - counts.untold {
        seen.extend(next(&mut watch).await);
    }
    assert!(seen.iter().all(|sighting| sighting.group == id));
    assert_eq!(watch.processes(id).unwrap(), counts);
    (counts, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_program_and_no_end_is_missed() {
    if cannot() {
        return;
    }
    let (counts, seen) = storm("storm", 3000, true).await;
    // its own end, and no program: that ran before it was put there
    assert_eq!(counts, Processes { execs: 3000, exits: 3001, untold: 0 });
    let programs = seen.iter().filter(|s| s.what == What::Exec(Some("/bin/true".into()))).count();
    let ends = seen.iter().filter(|s| s.what == What::Exit(Some(Exit::Code(0)))).count();
    let own = seen.iter().filter(|s| s.what == What::Exit(Some(Exit::Code(7)))).count();
    assert_eq!((programs, ends, own), (3000, 3000, 1));
    let named = |s: &Sighting| s.process.as_ref().is_some_and(|(pid, name)| *pid > 0 && name == "true");
    assert!(seen.iter().filter(|s| named(s)).count() >= 6000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_counted() {
    if cannot() {
        return;
    }
    let (counts, seen) = storm("unread", 8000, false).await;
    assert_eq!((counts.execs, counts.exits), (8000, 8001));
    assert!(counts.untold > 0, "{counts:?}");
    assert_eq!(seen.len() as u64, counts.execs + counts.exits - counts.untold);
}

/// What a workload's sockets had to do with while it ran, with a reach that lists the port.
fn traffic(name: &str, port: u16, args: &[&str]) -> (Traffic, String) {
    let group = Group::new(name);
    let reach = Reach { tcp: vec![(None, port)], udp: vec![(None, port)], listen: Vec::new() };
    Programs::load().unwrap().attach(Some(&reach), group.as_fd()).unwrap();
    let mut workload = Workload::new(&group, HARNESS, args);
    workload.go();
    let said = workload.end();
    let mut watch = Watch::new();
    let id = watch.add(group.as_fd()).unwrap();
    (watch.traffic(id).unwrap(), said)
}

#[tokio::test]
async fn datagrams_are_counted_to_the_byte() {
    if cannot() {
        return;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(b"!!!", from);
        }
    });
    let (seen, _) = traffic("datagrams", port, &["ask", &port.to_string(), "500", "1000"]);
    let expected = Traffic {
        bytes_in: 500 * (3 + HEADERS),
        packets_in: 500,
        bytes_out: 500 * (1000 + HEADERS),
        packets_out: 500,
        ..Traffic::default()
    };
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn streams_are_counted_within_a_two_hundredth() {
    if cannot() {
        return;
    }
    const BYTES: u64 = 256 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink =
        std::thread::spawn(move || std::io::copy(&mut listener.accept().unwrap().0, &mut std::io::sink()));
    let (seen, said) = traffic("streams", port, &["pour", &port.to_string(), &BYTES.to_string()]);
    assert_eq!(sink.join().unwrap().unwrap(), BYTES);
    let (bytes, packets) = said.trim_end().split_once(' ').unwrap();
    // IPv4, TCP and its timestamps
    let truth = bytes.parse::<u64>().unwrap() + (20 + 32) * packets.parse::<u64>().unwrap();
    println!("{truth} bytes in {packets} packets: {seen:?}");
    assert!(truth >= BYTES && seen.bytes_out.abs_diff(truth) <= truth / 200, "{truth}: {seen:?}");
    assert_eq!((seen.connects, seen.accepts, seen.refusals), (1, 0, 0));
}

#[tokio::test]
async fn connections_are_counted_and_told_to_whoever_wants_to_know() {
    if cannot() {
        return;
    }
    let group = Group::new("connections");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reach = Reach { tcp: vec![(Some(to.ip()), to.port())], udp: Vec::new(), listen: vec![own] };
    let programs = Programs::load().unwrap();
    programs.attach(Some(&reach), group.as_fd()).unwrap();
    let mut watch = Watch::new();
    let id = watch.add(group.as_fd()).unwrap();
    watch.want_connections(true).unwrap();
    let script = format!("read x; exec 3<>/dev/tcp/127.0.0.1/{}; exec {HARNESS} serve {own}", to.port());
    let mut workload = Workload::new(&group, "/bin/bash", &["-c", &script]);
    workload.go();
    let mut connection = listener.accept().unwrap().0;
    assert_eq!(workload.line(), "listening");
    for _ in 0..3 {
        TcpStream::connect(("127.0.0.1", own)).unwrap().read_to_end(&mut Vec::new()).unwrap();
    }
    workload.end();
    connection.read_to_end(&mut Vec::new()).unwrap();
    let traffic = watch.traffic(id).unwrap();
    assert_eq!((traffic.connects, traffic.accepts, traffic.refusals), (1, 3, 0), "{traffic:?}");
    let seen = next(&mut watch).await;
    let expected = What::Connect(membrane::bpf::Protocol::Tcp, to);
    assert!(seen.len() == 1 && seen[0].what == expected, "{seen:?}");
}
