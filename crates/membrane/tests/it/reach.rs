//! What the sockets of a group get through to, by real attempts against sockets of this machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use membrane::bpf::{Programs, Protocol, Reach, Sighting, Watch, What};
use membrane::{By, Exit, Layers, Limits, Skin, Spawn};

use crate::groups::{Group, Workload, cannot};
use crate::skin::{self, confined};
use crate::support::{HARNESS, Nest};

/// The sockets that are reached for.
pub struct Outside {
    tcp: u16,
    udp: u16,
    other_tcp: u16,
    other_udp: u16,
    own: u16,
    others: Vec<TcpListener>,
    other_udps: [UdpSocket; 3],
}

impl Outside {
    pub fn new() -> Self {
        let mut others = Vec::new();
        let [tcp, other_tcp] = [(); 2].map(|()| {
            let first = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = first.local_addr().unwrap().port();
            others.push(first);
            others.extend(
                ["127.0.0.2", "127.0.0.3", "::1"].map(|host| TcpListener::bind((host, port)).unwrap()),
            );
            port
        });
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = echo.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 16];
            while let Ok((_, from)) = echo.recv_from(&mut buffer) {
                let _ = echo.send_to(b"!", from);
            }
        });
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other_udp = other.local_addr().unwrap().port();
        let sockets = [
            other,
            UdpSocket::bind(("::1", other_udp)).unwrap(),
            UdpSocket::bind(("127.255.255.255", other_udp)).unwrap(),
        ];
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { tcp, udp, other_tcp, other_udp, own, others, other_udps: sockets }
    }

    fn reach(&self) -> Reach {
        let local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Reach { tcp: vec![(local, self.tcp)], udp: vec![(local, self.udp)], listen: vec![self.own] }
    }

    /// Who has heard anything without being listed.
    pub fn heard(&self) -> Vec<SocketAddr> {
        let mut heard = Vec::new();
        let listed = |at: &SocketAddr| *at == SocketAddr::from((Ipv4Addr::LOCALHOST, self.tcp));
        for listener in &self.others {
            listener.set_nonblocking(true).unwrap();
            let at = listener.local_addr().unwrap();
            heard.extend(listener.accept().ok().map(|_| at).filter(|at| !listed(at)));
        }
        for socket in &self.other_udps {
            socket.set_nonblocking(true).unwrap();
            heard.extend(socket.recv(&mut [0; 8]).ok().map(|_| socket.local_addr().unwrap()));
        }
        heard
    }

    /// What came of each attempt.
    fn attempts(&self, group: &Group) -> BTreeMap<String, String> {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut workload = Workload::new(group, HARNESS, &args);
        workload.go();
        read(&workload.end())
    }

    fn args(&self) -> Vec<String> {
        let ports =
            [self.tcp, self.udp, self.other_tcp, self.other_udp, self.own].map(|port| port.to_string());
        ["reach".to_owned()].into_iter().chain(ports).collect()
    }
}

/// What came of each attempt, as it was said.
pub fn read(said: &str) -> BTreeMap<String, String> {
    assert!(said.ends_with("all were made\n"), "{said}");
    let lines = said.lines().filter_map(|line| line.rsplit_once(": "));
    lines.map(|(what, came)| (what.to_owned(), came.to_owned())).collect()
}

pub fn done<'a>(made: &'a BTreeMap<String, String>, group: &str) -> Vec<&'a str> {
    let done = made.iter().filter(|(what, came)| what.starts_with(group) && *came == "done");
    done.map(|(what, _)| what.as_str()).collect()
}

#[test]
fn what_is_listed_is_reached_and_nothing_else() {
    if cannot() {
        return;
    }
    let (group, outside) = (Group::new("reach"), Outside::new());
    Programs::load().unwrap().attach(Some(&outside.reach()), group.as_fd()).unwrap();
    let made = outside.attempts(&group);
    assert_eq!(done(&made, "not listed"), [""; 0], "{made:#?}");
    assert_eq!(done(&made, "listed").len(), 8, "{made:#?}");
    assert!(made.len() >= 45, "{}", made.len());
}

#[test]
fn without_a_reach_the_attempts_succeed() {
    if cannot() {
        return;
    }
    let (group, outside) = (Group::new("open"), Outside::new());
    Programs::load().unwrap().attach(None, group.as_fd()).unwrap();
    let made = outside.attempts(&group);
    assert!(done(&made, "not listed").len() >= 30, "the attempts prove nothing: {made:#?}");
}

#[test]
fn a_group_with_an_empty_reach_reaches_nothing() {
    if cannot() {
        return;
    }
    let (group, outside) = (Group::new("empty"), Outside::new());
    Programs::load().unwrap().attach(Some(&Reach::default()), group.as_fd()).unwrap();
    let made = outside.attempts(&group);
    assert_eq!(done(&made, ""), [""; 0], "{made:#?}");
}

#[test]
fn nobody_gets_through_to_a_port_that_is_not_its_own() {
    if cannot() {
        return;
    }
    let group = Group::new("hear");
    Programs::load().unwrap().attach(Some(&Reach::default()), group.as_fd()).unwrap();
    let mut workload = Workload::new(&group, HARNESS, &["hear"]);
    workload.go();
    let ports = workload.line();
    let (tcp, udp) = ports.split_once(' ').unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, tcp.parse().unwrap()));
    // Nothing answers: the time-out is the result.
    let error = TcpStream::connect_timeout(&to, Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"x", (Ipv4Addr::LOCALHOST, udp.parse().unwrap())).unwrap();
    workload.go();
    assert_eq!(workload.end(), "heard nothing\n");
}

#[test]
fn a_reach_that_does_not_fit_is_refused_and_nothing_stands() {
    if cannot() {
        return;
    }
    let group = Group::new("many");
    let programs = Programs::load().unwrap();
    let reach = Reach { listen: (1..=73).collect(), ..Reach::default() };
    let error = programs.attach(Some(&reach), group.as_fd()).unwrap_err().to_string();
    assert!(error.contains("73 destinations"), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { assert!(Watch::new().add(group.as_fd()).is_err()) });
}

#[tokio::test]
async fn refusals_are_told_and_counted_though_whoever_attached_is_gone() {
    if cannot() {
        return;
    }
    let (group, outside) = (Group::new("told"), Outside::new());
    Programs::load().unwrap().attach(Some(&outside.reach()), group.as_fd()).unwrap();
    let mut watch = Watch::new();
    let id = watch.add(group.as_fd()).unwrap();
    let made = outside.attempts(&group);
    assert_eq!(done(&made, "not listed"), [""; 0], "{made:#?}");
    let traffic = watch.traffic(id).unwrap();
    let mut seen: Vec<Sighting> = Vec::new();
    while (seen.len() as u64) < traffic.refusals - traffic.untold {
        seen.extend(tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap());
    }
    assert!(traffic.refusals >= 30, "{traffic:?}");
    let has = |what: &What| seen.iter().any(|s| s.group == id && s.what == *what);
    let other = SocketAddr::from((Ipv4Addr::LOCALHOST, outside.other_tcp));
    assert!(has(&What::RefusedConnect(Protocol::Tcp, other)), "{seen:#?}");
    let other = SocketAddr::from((Ipv4Addr::LOCALHOST, outside.other_udp));
    assert!(has(&What::RefusedSend(Protocol::Udp, other)), "{seen:#?}");
    let multipath = What::RefusedSocket(libc::SOCK_STREAM as u16, libc::IPPROTO_MPTCP as u64);
    assert!(has(&multipath), "{seen:#?}");
    let by = seen.iter().find_map(|s| s.process.clone()).unwrap();
    assert_eq!(by.1, "keeper-harness");
}

/// A workload in its skin that makes the attempts.
pub fn enclosed(nest: &Nest, id: &str, outside: &Outside) -> Spawn {
    let args = outside.args();
    let spawn = confined(nest, id, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let skin = spawn.skin.unwrap();
    let skin = Skin {
        connect: Some(vec![outside.tcp]),
        listen: vec![outside.own],
        reach: Some(outside.reach()),
        ..skin
    };
    Spawn { skin: Some(skin), limits: Some(Limits::default()), ..spawn }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_in_its_skin_reaches_what_is_listed_and_is_seen() {
    if cannot() || skin::cannot() {
        return;
    }
    let (nest, outside) = (Nest::new(), Outside::new());
    let (mut client, _) = nest.attach().await;
    let mut watch = Watch::new();
    let groups = client.keeper.groups().unwrap().to_owned();
    watch.trace_below(std::fs::File::open(&groups).unwrap().as_fd()).unwrap();
    client.keeper.spawn(enclosed(&nest, "a", &outside)).await.unwrap();
    assert_eq!(client.exit_of("a").await, Exit::Code(0));
    let made = read(&nest.stdout("a"));
    assert_eq!(done(&made, "not listed"), [""; 0], "{made:#?}");
    assert_eq!(done(&made, "listed").len(), 8, "{made:#?}");
    let seen = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap();
    let group = seen[0].group;
    let programs = seen.iter().filter(|s| s.group == group && matches!(s.what, What::Exec(_))).count();
    // itself, setsid, bash
    assert!(programs >= 3, "{seen:#?}");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_was_upgraded_limits_what_is_started_then() {
    if cannot() || skin::cannot() {
        return;
    }
    let (nest, outside) = (Nest::new(), Outside::new());
    let (mut client, _) = nest.attach().await;
    client.keeper.spawn(enclosed(&nest, "before", &outside)).await.unwrap();
    assert_eq!(client.exit_of("before").await, Exit::Code(0));
    client.keeper.upgrade(std::path::Path::new(HARNESS)).await.unwrap();
    client.keeper.spawn(enclosed(&nest, "after", &outside)).await.unwrap();
    assert_eq!(client.exit_of("after").await, Exit::Code(0));
    assert_eq!(read(&nest.stdout("before")), read(&nest.stdout("after")));
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reach_that_nobody_can_hold_is_refused_and_nothing_runs() {
    if cannot() || skin::cannot() {
        return;
    }
    let (nest, outside) = (Nest::new(), Outside::new());
    let (client, _) = nest.attach().await;
    // Neither a group nor a network of its own.
    let mut groupless = Spawn { limits: None, ..enclosed(&nest, "a", &outside) };
    groupless.skin.iter_mut().for_each(|skin| skin.by = By::Landlock);
    let error = client.keeper.spawn(groupless).await.unwrap_err().to_string();
    let why = Layers::find().confine(By::Landlock).err().unwrap_or_else(|| "no group".to_owned());
    assert!(error.contains(&why), "{error}");
    client.end().await;
}
