//! The machinery itself, with what one machine's `mesh run` can do already.

use std::time::{Duration, Instant};

use crate::host::Host;
use crate::http::at;
use crate::lan::{Family, Lan};
use crate::node::Node;
use crate::runner::say;
use crate::tests;
use crate::workloads::spore;

tests!(
    hosts_are_up_in_no_time,
    an_edge_answers_other_hosts,
    a_cut_is_silent_and_heals,
    a_moved_host_is_elsewhere,
    one_family_alone_is_enough,
    a_cable_is_pulled,
    mesh_is_killed_and_ends,
    power_fails_and_comes_back,
    a_frozen_host_answers_later,
    a_disk_fills_up,
    load_counts_what_fails,
);

/// A mesh of its own in a host, with billing running; its base URL for others.
fn served(host: &Host) -> (Node<'_>, String) {
    let mesh = host.start("run -nodes 1 -edge :0");
    let url = at(&mesh.ready(), host.v4());
    host.mesh(&format!("deploy {}", spore(host, "billing", "v0.1.0"))).good();
    (mesh, url)
}

fn hosts_are_up_in_no_time() {
    let started = Instant::now();
    let lan = Lan::new(3);
    let took = started.elapsed();
    say(&format!("3 hosts in {took:?}\n"));
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        for ip in [lan.host(to).v4(), lan.host(to).v6()] {
            let listener = lan.host(to).space().inside(|| std::net::TcpListener::bind((ip, 0)).unwrap());
            let address = listener.local_addr().unwrap();
            lan.host(from).space().inside(|| std::net::TcpStream::connect(address)).unwrap();
        }
    }
    assert!(took < Duration::from_secs(3), "{took:?}");
}

fn an_edge_answers_other_hosts() {
    let lan = Lan::new(3);
    let (_mesh, url) = served(lan.host(0));
    for asker in lan.hosts() {
        for ip in [lan.host(0).v4(), lan.host(0).v6()] {
            let answer = asker.get(&format!("{}/billing/hello", at(&url, ip))).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.head.contains("x-mycelium-edge: 20"), "{answer:?}");
            assert!(answer.body.starts_with("hi from billing"), "{answer:?}");
        }
    }
}

fn a_cut_is_silent_and_heals() {
    let lan = Lan::new(3);
    let listeners: Vec<_> = lan.hosts().iter().map(listening).collect();
    let reaches = |from: usize, to: usize| said(lan.host(from), &listeners[to]);
    lan.cut(&[0], &[1, 2]);
    assert_eq!((reaches(0, 1), reaches(2, 0), reaches(1, 2), reaches(2, 1)), (false, false, true, true));
    lan.heal();
    assert!(reaches(0, 1) && reaches(2, 0));
    lan.cut_one_way(&[0], &[1]);
    assert_eq!((reaches(0, 1), reaches(1, 0), reaches(0, 2)), (false, true, true));
    lan.heal();
    assert!(reaches(0, 1));
}

fn a_moved_host_is_elsewhere() {
    let lan = Lan::new(2);
    let before = lan.host(1).v4();
    lan.move_host(1);
    assert_ne!(lan.host(1).v4(), before);
    for ip in [lan.host(1).v4(), lan.host(1).v6()] {
        let listener = lan.host(1).space().inside(|| std::net::TcpListener::bind((ip, 0)).unwrap());
        let address = listener.local_addr().unwrap();
        lan.host(0).space().inside(|| std::net::TcpStream::connect(address)).unwrap();
    }
    lan.host(1).space().inside(|| std::net::TcpListener::bind((before, 0)).unwrap_err());
}

fn one_family_alone_is_enough() {
    for (family, ip) in [(Family::V4, Host::v4 as fn(&Host) -> _), (Family::V6, Host::v6)] {
        let lan = Lan::of(2, family);
        let (to, from) = (ip(lan.host(1)), ip(lan.host(0)));
        assert!(from != to);
        let listener = lan.host(1).space().inside(|| std::net::TcpListener::bind((to, 0)).unwrap());
        let address = listener.local_addr().unwrap();
        lan.host(0).space().inside(|| std::net::TcpStream::connect(address)).unwrap();
        let other = if family == Family::V4 { lan.host(1).v6() } else { lan.host(1).v4() };
        lan.host(1).space().inside(|| std::net::TcpListener::bind((other, 0)).unwrap_err());
    }
}

fn a_cable_is_pulled() {
    let lan = Lan::new(2);
    let address = listening(lan.host(1)).local_addr().unwrap();
    let connect = || lan.host(0).space().inside(|| std::net::TcpStream::connect(address));
    // Nobody takes connections there, and says so.
    assert_eq!(connect().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    lan.unplug(0);
    assert_eq!(connect().unwrap_err().kind(), std::io::ErrorKind::NetworkUnreachable);
    lan.plug(0);
    assert_eq!(connect().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

fn mesh_is_killed_and_ends() {
    let lan = Lan::new(1);
    let host = lan.host(0);
    let (mesh, _) = served(host);
    mesh.kill9();
    assert_eq!(mesh.ended(), -1);
    let left = host.processes();
    let mesh = host.start("run -nodes 1 -edge :0");
    let url = mesh.ready();
    let pid = host.json("ps")[0]["pid"].as_i64().unwrap();
    assert!(left.iter().any(|(found, _)| i64::from(found.as_raw_pid()) == pid), "{pid} of {left:?}");
    assert_eq!(host.get(&format!("{url}/billing/hello")).unwrap().status, 200);
    assert_eq!(mesh.stop(), 0);
    assert_eq!(host.processes(), []);
}

fn power_fails_and_comes_back() {
    let lan = Lan::new(2);
    let host = lan.host(0);
    let (_mesh, url) = served(host);
    assert!(host.processes().len() >= 3, "{:?}", host.processes());
    let since = host.last_event();
    host.power_off();
    assert!(host.processes().is_empty());
    lan.host(1).get(&url).unwrap_err();
    let mesh = host.start("run -nodes 1 -edge :0");
    let url = at(&mesh.ready(), host.v4());
    host.event(since, "billing again", |event| event["kind"] == "endpoint-register");
    assert_eq!(lan.host(1).get(&format!("{url}/billing/hello")).unwrap().status, 200);
}

fn a_frozen_host_answers_later() {
    let lan = Lan::new(2);
    let (_mesh, url) = served(lan.host(0));
    let asker = lan.host(1);
    lan.host(0).freeze();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| asker.get(&format!("{url}/billing/hello")).unwrap());
        assert!(!answer.is_finished());
        lan.host(0).thaw();
        assert_eq!(answer.join().unwrap().status, 200);
    });
}

fn a_disk_fills_up() {
    let lan = Lan::new(1);
    let host = lan.host(0);
    let write = || std::fs::write(host.work().join("file"), vec![1; 1 << 20]);
    write().unwrap();
    std::fs::remove_file(host.work().join("file")).unwrap();
    host.fill_disk();
    assert_eq!(write().unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    host.free_disk();
    write().unwrap();
}

fn load_counts_what_fails() {
    let lan = Lan::new(2);
    let (mesh, url) = served(lan.host(0));
    let urls = [format!("{url}/billing/hello")];
    let (_, load) = lan.host(1).while_asking(8, &urls, |_| lan.host(0).mesh("restart billing").good());
    let load = load.flawless();
    say(&format!("{load:?}\n"));
    let ((), load) = lan.host(1).while_asking(8, &urls, |asking| {
        asking.answers(8);
        lan.host(0).power_off();
        asking.answers(16);
    });
    assert!(load.good > 0 && load.failed > 0 && !load.failures.is_empty(), "{load:?}");
    drop(mesh);
}

/// A socket that datagrams can be sent to.
fn listening(host: &Host) -> std::net::UdpSocket {
    let socket = host.space().inside(|| std::net::UdpSocket::bind((host.v4(), 0)).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket
}

/// Whether a datagram from this host arrives.
fn said(from: &Host, to: &std::net::UdpSocket) -> bool {
    let socket = from.space().inside(|| std::net::UdpSocket::bind((from.v4(), 0)).unwrap());
    socket.send_to(b"hello", to.local_addr().unwrap()).unwrap();
    to.recv(&mut [0; 8]).is_ok()
}
