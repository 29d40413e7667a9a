//! A workload in a network of its own: what it reaches through its relay, who reaches it, and how the two end.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use membrane::bpf::Reach;
use membrane::{Exit, KeeperEvent, Layers, LogStream, Skin, Spawn};

use crate::reach::{Outside, done, enclosed, read};
use crate::skin::{attempts, confined, strictest};
use crate::support::{Client, HARNESS, Nest, await_end, kill_dash_nine, process_exists, watch_end};

/// How soon a port is asked for again.
const LOOK_AGAIN: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Whether this machine gives no networks: said loudly, for then nothing is tested.
#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
fn cannot() -> bool {
    let why = Layers::find().network.err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

/// A workload in a network of its own: without a group no programs can stand at it.
fn networked(nest: &Nest, id: &str, args: &[&str], reach: Reach) -> Spawn {
    let mut spawn = confined(nest, id, args);
    let connect = Some(reach.tcp.iter().map(|(_, port)| *port).collect());
    let skin = spawn.skin.take().unwrap();
    let listen = reach.listen.clone();
    spawn.skin = Some(Skin { connect, listen, reach: Some(reach), ..skin });
    spawn.limits = None;
    spawn
}

fn listening(port: u16) -> Reach {
    Reach { listen: vec![port], ..Reach::default() }
}

/// A port that nobody has.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A connection, as soon as there is somebody.
fn connect(to: SocketAddr) -> TcpStream {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => {
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                return stream;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < until => {
                // No event tells of a port that opens.
                let _ = rustix::event::poll(&mut [], Some(&LOOK_AGAIN));
            }
            Err(error) => panic!("{to}: {error}"),
        }
    }
}

/// A workload that says back what it hears, and its port.
async fn echo(nest: &Nest, client: &Client, id: &str) -> (u16, membrane::Process) {
    let port = free();
    let args = ["echo", &local(port).to_string()];
    let process = client.keeper.spawn(networked(nest, id, &args, listening(port))).await.unwrap();
    (port, process)
}

/// All processes that are relays of this one's.
fn relays(process: &membrane::Process) -> Vec<u32> {
    let relay = process.relay.unwrap();
    let children = std::fs::read_to_string(format!("/proc/{relay}/task/{relay}/children")).unwrap();
    [relay].into_iter().chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_of_a_network_but_what_is_listed() {
    if cannot() {
        return;
    }
    let (nest, outside) = (Nest::new(), Outside::new());
    let (mut client, _) = nest.attach().await;
    let mut spawn = enclosed(&nest, "a", &outside);
    spawn.limits = None;
    client.keeper.spawn(spawn).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0), "{}", nest.log("a", LogStream::Stderr));
    let made = read(&nest.stdout("a"));
    assert_eq!(done(&made, "listed").len(), 8, "{made:#?}");
    assert!(made.len() >= 45, "{}", made.len());
    // A network of its own takes any packet and any name, and brings them to nobody.
    let vain = |what: &&str| !what.contains("send") && !what.contains("listen") && !what.contains("share");
    let vain = |what: &&str| vain(what) && !what.contains("take") && !what.contains("route in the packet");
    let done: Vec<_> = done(&made, "not listed").into_iter().filter(vain).collect();
    assert_eq!(done, [""; 0], "{made:#?}");
    assert_eq!(outside.heard(), []);
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_of_a_skin_with_a_network() {
    if cannot() {
        return;
    }
    let reach = |spawn: &mut Spawn| {
        spawn.limits = None;
        // With sockets of both kinds, and a place that nobody has.
        let udp = vec![(Some([127, 9, 9, 9].into()), 9)];
        spawn
            .skin
            .iter_mut()
            .for_each(|skin| skin.reach = Some(Reach { udp: udp.clone(), ..Reach::default() }));
    };
    let made = attempts(reach).await;
    // `lo` is up already: to say so again changes nothing.
    let vain = ["listen on any port", "listen on a port of its choice", "send by UDP", "change an interface"];
    let done: Vec<_> =
        made.iter().filter(|(what, came)| *came == "done" && !vain.contains(&what.as_str())).collect();
    assert!(done.is_empty(), "{done:#?} of {made:#?}");
    assert!(made.len() >= 60, "{}", made.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_reached_at_its_port_as_long_as_it_listens() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let (port, process) = echo(&nest, &client, "a").await;
    assert_eq!(relays(&process).len(), 2);

    // Half of a connection ended, the other goes on; much both ways at once.
    let mut stream = connect(local(port));
    let sent: Vec<u8> = (0..8_u32 << 20).flat_map(|n| n.to_le_bytes()).take(24 << 20).collect();
    let mut writer = stream.try_clone().unwrap();
    let all = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&all).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    writing.join().unwrap();
    assert!(said.strip_suffix(b"end") == Some(&sent), "{} of {} bytes", said.len(), sent.len());

    // One that is reset there is reset here.
    let mut stream = connect(local(port));
    stream.write_all(b"x").unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

    // Many at once.
    let mut many: Vec<_> = (0..200).map(|_| connect(local(port))).collect();
    for (number, stream) in many.iter_mut().enumerate() {
        stream.write_all(format!("n{number}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for (number, mut stream) in many.into_iter().enumerate() {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, format!("n{number}end"));
    }

    // Nobody listens any more: so nobody does out here, after the one who finds out.
    connect(local(port)).write_all(b"q").unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while let Ok(mut stream) = TcpStream::connect(local(port)) {
        assert!(stream.read(&mut [0; 1]).is_err() && Instant::now() < until);
    }
    client.keeper.kill("a").await.unwrap();
    client.exit_of("a").await;
    TcpListener::bind(local(port)).unwrap();
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_refused_until_it_listens_and_at_ipv6_where_it_listens_there() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let port = free();
    let mut told = nest.fifo("told");
    let script = format!("read line < {}; exec {HARNESS} echo [::]:{port}", told.arg());
    let mut spawn = networked(&nest, "a", &[], listening(port));
    (spawn.program, spawn.args) =
        (membrane::Program::Path("/bin/bash".into()), vec!["-c".to_owned(), script]);
    std::fs::set_permissions(&told.path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    spawn.skin.iter_mut().for_each(|skin| skin.write.push(told.path.clone()));
    client.keeper.spawn(spawn).await.unwrap();
    let refused = |ip: IpAddr| TcpStream::connect((ip, port)).unwrap_err().kind();
    assert_eq!(refused(Ipv4Addr::LOCALHOST.into()), io::ErrorKind::ConnectionRefused);
    assert_eq!(refused(Ipv6Addr::LOCALHOST.into()), io::ErrorKind::ConnectionRefused);
    told.tell("go");
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let mut stream = connect((ip, port).into());
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "helloend");
    }
    // What it says last gets through, though it is gone by then.
    let mut stream = connect(local(port));
    stream.write_all(b"w").unwrap();
    let mut said = Vec::new();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    stream.read_to_end(&mut said).unwrap();
    assert_eq!(said.len(), 1 << 20);
    client.end().await;
}

/// Answers by TCP and by UDP at a port of an address; how often it was asked by one that it shouldn't be is no matter here.
fn answering(ip: IpAddr) -> u16 {
    let tcp = TcpListener::bind((ip, 0)).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let Ok(udp) = UdpSocket::bind((ip, port)) else { return answering(ip) };
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let (mut stream, mut said) = (stream.unwrap(), Vec::new());
            stream.read_to_end(&mut said).unwrap();
            stream.write_all(&said).unwrap();
        }
    });
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((count, from)) = udp.recv_from(&mut buffer) {
            // Who wasn't asked isn't heard.
            UdpSocket::bind((ip, 0)).unwrap().send_to(b"me too", from).unwrap();
            udp.send_to(&buffer[..count], from).unwrap();
        }
    });
    port
}

/// The address by which this machine would reach others, if it could.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reaches_what_is_listed_at_the_very_address_by_both_protocols() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let ips = [
        Some([127, 0, 0, 1].into()),
        Some([127, 5, 6, 7].into()),
        Some(Ipv6Addr::LOCALHOST.into()),
        own_address(),
    ];
    let places: Vec<SocketAddr> =
        ips.into_iter().flatten().map(|ip| SocketAddr::new(ip, answering(ip))).collect();
    let asked: Vec<String> =
        places.iter().flat_map(|at| [format!("tcp:{at}"), format!("udp:{at}")]).collect();
    let mut args = vec!["talk"];
    args.extend(asked.iter().map(String::as_str));
    let exact: Vec<_> = places.iter().map(|at| (Some(at.ip()), at.port())).collect();
    let any: Vec<_> = places.iter().map(|at| (None, at.port())).collect();
    for (id, places, listed) in [("exact", exact, true), ("any", any, true), ("none", Vec::new(), false)] {
        let reach = Reach { tcp: places.clone(), udp: places, listen: Vec::new() };
        let mut spawn = networked(&nest, id, &args, reach);
        if !listed {
            // With sockets of UDP, and nobody to send to but one who isn't there.
            spawn.skin.iter_mut().flat_map(|skin| &mut skin.reach).for_each(|reach| {
                reach.udp.push((Some(Ipv4Addr::new(127, 9, 9, 9).into()), 9));
            });
            spawn.args = vec!["talk".to_owned(), "udp:127.9.9.9:9".to_owned()];
            spawn.args.extend(asked.iter().filter(|one| one.starts_with("tcp:")).cloned());
        }
        client.keeper.spawn(spawn).await.unwrap();
        assert_eq!(client.exit_of(id).await, Exit::Code(0), "{}", nest.log(id, LogStream::Stderr));
        let said = nest.stdout(id);
        assert!(said.ends_with("routes: Operation not permitted (os error 1)\n"), "{said}");
        let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("routes")).collect();
        let answered = |line: &&&str| match line.strip_prefix("tcp:") {
            Some(rest) => rest.split_once(": ").is_some_and(|(at, said)| said == format!("hello from {at}")),
            None => line.ends_with(": 60005 bytes"),
        };
        let count = lines.iter().filter(answered).count();
        assert_eq!(count, if listed { asked.len() } else { 0 }, "{id}: {said}");
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_do_not_reach_each_other() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let (port, process) = echo(&nest, &client, "a").await;
    drop(connect(local(port)));
    let at = format!("tcp:{}", local(port));
    client.keeper.spawn(networked(&nest, "b", &["talk", &at], Reach::default())).await.unwrap();
    assert_eq!(client.exit_of("b").await, Exit::Code(0));
    assert!(nest.stdout("b").starts_with(&format!("{at}: Connection refused")), "{}", nest.stdout("b"));
    // Nor does it see who serves it: not in its processes, not by a name.
    let relay = relays(&process);
    let text = "for p in /proc/[0-9]*; do cat $p/comm; done; cat /proc/net/unix | wc -l";
    let args = ["exec", &process.pid.to_string(), "/bin/bash", "-c", text];
    let command = std::process::Command::new(HARNESS).args(args).output().unwrap();
    let said = String::from_utf8(command.stdout).unwrap();
    assert!(!said.contains("mesh-relay") && said.ends_with("\n1\n"), "{said}");
    let space = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(relay.iter().map(|pid| space(*pid) == space(process.pid)).collect::<Vec<_>>(), [false, true]);
    for pid in relay {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let has =
            |line: &str| status.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
        assert!(has("CapEff: 0000000000000000") && has("NoNewPrivs: 1") && has("Seccomp: 2"), "{status}");
        assert!(has("CapPrm: 0000000000000000"), "{status}");
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_lives_on_without_its_relay_nor_a_relay_without_it() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    for half in [0, 1] {
        let (port, process) = echo(&nest, &client, "a").await;
        let mut stream = connect(local(port));
        let relays = relays(&process);
        let ends: Vec<_> = relays.iter().map(|pid| watch_end(*pid).unwrap()).collect();
        kill_dash_nine(relays[half]);
        match client.event().await {
            KeeperEvent::Exited { id, exit: Exit::Signal(9), cut: true, .. } => assert_eq!(id, "a"),
            other => panic!("{other:?}"),
        }
        ends.iter().for_each(await_end);
        assert!(!process_exists(process.pid));
        assert!(stream.read(&mut [0; 1]).map_or(true, |count| count == 0));
        client.keeper.forget("a").await.unwrap();
    }
    let (port, process) = echo(&nest, &client, "b").await;
    let _open = connect(local(port));
    let ends: Vec<_> = relays(&process).iter().map(|pid| watch_end(*pid).unwrap()).collect();
    client.keeper.stop("b", Duration::from_secs(60)).await.unwrap();
    match client.event().await {
        KeeperEvent::Exited { id, exit: Exit::Signal(15), cut: false, .. } => assert_eq!(id, "b"),
        other => panic!("{other:?}"),
    }
    ends.iter().for_each(await_end);
    TcpListener::bind(local(port)).unwrap();
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_outlives_the_keeper_as_its_replica_does() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let (port, process) = echo(&nest, &client, "a").await;
    let mut stream = connect(local(port));
    client.keeper.upgrade(HARNESS.as_ref()).await.unwrap();
    let mut says = |text: &[u8]| {
        stream.write_all(text).unwrap();
        let mut said = vec![0; text.len()];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(said, text);
    };
    says(b"upgraded");
    let (later, found) = nest.attach().await;
    assert_eq!(found[0].relay, process.relay);
    drop(later);
    let ends: Vec<_> = relays(&process).iter().map(|pid| watch_end(*pid).unwrap()).collect();
    kill_dash_nine(client.keeper.pid());
    says(b"killed");
    drop(client);
    let (client, found) = nest.attach().await;
    assert!(found.is_empty());
    ends.iter().for_each(await_end);
    TcpListener::bind(local(port)).unwrap();
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_in_its_network_and_the_strictest_skin_is_the_same() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let port = free();
    let mut spawn = networked(&nest, "a", &["echo", &local(port).to_string()], listening(port));
    spawn.skin.iter_mut().for_each(|skin| skin.by = strictest());
    let process = client.keeper.spawn(spawn).await.unwrap();
    drop(connect(local(port)));
    let text = format!("readlink /proc/self/ns/net; exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    let args = ["exec", &process.pid.to_string(), "/bin/bash", "-c", &text];
    let command = std::process::Command::new(HARNESS).args(args).output().unwrap();
    let space = std::fs::read_link(format!("/proc/{}/ns/net", process.pid)).unwrap();
    assert_eq!(String::from_utf8(command.stdout).unwrap(), format!("{}\nconnected\n", space.display()));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_another_has_is_an_error_and_nothing_is_left() {
    if cannot() {
        return;
    }
    let nest = Nest::new();
    let (client, _) = nest.attach().await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = other.local_addr().unwrap();
    let spawn = networked(&nest, "a", &["echo", &at.to_string()], listening(at.port()));
    let error = client.keeper.spawn(spawn).await.unwrap_err().to_string();
    assert!(error.contains(&format!("listen on {at}: another process has it")), "{error}");
    let port = free();
    let reach = Reach { tcp: vec![(Some([127, 0, 0, 5].into()), port)], ..listening(port) };
    let error = client.keeper.spawn(networked(&nest, "a", &["echo"], reach)).await.unwrap_err().to_string();
    assert!(error.contains("can't be told apart"), "{error}");
    let keeper = client.keeper.pid();
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    assert_eq!(children, "");
    client.end().await;
}

/// Asks and waits for the answer, on so many connections at once, for so long: how often a second, and how long one took.
fn load(port: u16, connections: usize, long: Duration) -> (f64, Duration, Duration) {
    let begin = Instant::now();
    let ask = move || {
        let (mut stream, mut took) = (connect(local(port)), Vec::new());
        stream.set_nodelay(true).unwrap();
        while begin.elapsed() < long {
            let asked = Instant::now();
            stream.write_all(&[b'm'; 128]).unwrap();
            stream.read_exact(&mut [0; 128]).unwrap();
            took.push(asked.elapsed());
        }
        took
    };
    let threads: Vec<_> = (0..connections).map(|_| std::thread::spawn(ask)).collect();
    let mut took: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    took.sort_unstable();
    let at = |part: usize| took[took.len() * part / 100];
    (took.len() as f64 / long.as_secs_f64(), at(50), at(99))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures: --release, on a machine that does nothing else"]
async fn what_a_relay_costs() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    for connections in [1, 32] {
        for relayed in [false, true, false, true] {
            let port = free();
            let begin = Instant::now();
            let mut spawn = networked(&nest, "a", &["echo", &local(port).to_string()], listening(port));
            spawn.skin = spawn.skin.filter(|_| relayed);
            let process = client.keeper.spawn(spawn).await.unwrap();
            let started = begin.elapsed();
            let (rate, half, most) =
                tokio::task::block_in_place(|| load(port, connections, Duration::from_secs(3)));
            let of = |pid: u32, what: &str| {
                let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
                let line = text.lines().find(|line| line.starts_with(what)).unwrap();
                line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
            };
            let sum = |what| relays(&process).iter().map(|pid| of(*pid, what)).sum::<u64>();
            let memory = if relayed { (sum("Private_Dirty:"), sum("Pss:")) } else { (0, 0) };
            println!(
                "{connections} connections, relayed {relayed}: {rate:.0}/s, p50 {half:?}, p99 {most:?}; started in {started:?}; \
                 relay {} KiB of its own, {} KiB with its part of what is shared",
                memory.0, memory.1
            );
            client.keeper.kill("a").await.unwrap();
            client.event().await;
            client.keeper.forget("a").await.unwrap();
        }
    }
    client.end().await;
}
