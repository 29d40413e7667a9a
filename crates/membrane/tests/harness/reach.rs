//! What a workload may try to get past its reach. Each says in a line what came of it: `name: done`, or the error.
//!
//! All that it reaches for are sockets of the test, on this machine.

#![expect(unsafe_code, reason = "attempts are system calls")]
#![expect(clippy::print_stdout, reason = "the test reads what came of them")]

mod ring;

use std::io::{self, BufRead as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use libc::c_int;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto};

/// The ports of the test's sockets.
struct Outside {
    /// What the reach lists, at 127.0.0.1 alone; others listen at the same port of 127.0.0.2 and ::1.
    tcp: u16,
    udp: u16,
    /// What it doesn't.
    other_tcp: u16,
    other_udp: u16,
    /// A port of its own.
    own: u16,
}

type Attempt = fn(&Outside) -> io::Result<()>;

/// Waits for a line, until it was put where it belongs; makes all of them; always ends well.
pub fn run(args: &[String]) -> ExitCode {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
    let ports: Vec<u16> = args.iter().map(|port| port.parse().unwrap()).collect();
    let [tcp, udp, other_tcp, other_udp, own] = ports[..] else { return ExitCode::from(64) };
    let outside = Outside { tcp, udp, other_tcp, other_udp, own };
    for (group, attempts) in [("listed", LISTED), ("not listed", NOT_LISTED)] {
        for (what, attempt) in attempts {
            match attempt(&outside) {
                Ok(()) => println!("{group}: {what}: done"),
                Err(error) => println!("{group}: {what}: {error}"),
            }
        }
    }
    println!("all were made");
    ExitCode::SUCCESS
}

/// Waits for a line, then listens without having asked for a port and hears without having been listed; says both ports,
/// and what came.
pub fn hear() -> ExitCode {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
    let listener = stream(AddressFamily::INET).unwrap();
    rustix::net::listen(&listener, 8).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name: SocketAddr = rustix::net::getsockname(&listener).unwrap().try_into().unwrap();
    println!("{} {}", name.port(), udp.local_addr().unwrap().port());
    io::stdin().lock().read_line(&mut String::new()).unwrap();
    udp.set_nonblocking(true).unwrap();
    println!("{}", if udp.recv(&mut [0; 8]).is_ok() { "heard" } else { "heard nothing" });
    ExitCode::SUCCESS
}

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

const LISTED: &[(&str, Attempt)] = &[
    ("connect", |o| connect(stream(AddressFamily::INET)?, (LOCAL, o.tcp))),
    ("connect, mapped", |o| connect(stream(AddressFamily::INET6)?, (LOCAL.to_ipv6_mapped(), o.tcp))),
    ("connect from a port the kernel chose", |o| {
        let socket = stream(AddressFamily::INET)?;
        rustix::net::bind(&socket, &SocketAddr::from((LOCAL, 0)))?;
        connect(socket, (LOCAL, o.tcp))
    }),
    ("ask and hear the answer", |o| {
        let socket = UdpSocket::bind((LOCAL, 0))?;
        socket.send_to(b"?", (LOCAL, o.udp))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.recv(&mut [0; 8]).map(drop)
    }),
    ("ask, connected", |o| {
        let socket = UdpSocket::bind((LOCAL, 0))?;
        socket.connect((LOCAL, o.udp))?;
        socket.send(b"?")?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.recv(&mut [0; 8]).map(drop)
    }),
    ("ask, mapped", |o| UdpSocket::bind("[::]:0")?.send_to(b"?", (LOCAL.to_ipv6_mapped(), o.udp)).map(drop)),
    ("listen", |o| TcpListener::bind((LOCAL, o.own)).map(drop)),
    ("listen everywhere", |o| TcpListener::bind(("::", o.own)).map(drop)),
];

const NOT_LISTED: &[(&str, Attempt)] = &[
    ("connect", |o| connect(stream(AddressFamily::INET)?, (LOCAL, o.other_tcp))),
    ("connect, mapped", |o| connect(stream(AddressFamily::INET6)?, (LOCAL.to_ipv6_mapped(), o.other_tcp))),
    ("connect, IPv6", |o| connect(stream(AddressFamily::INET6)?, (Ipv6Addr::LOCALHOST, o.other_tcp))),
    ("connect to the port elsewhere", |o| connect(stream(AddressFamily::INET)?, ([127, 0, 0, 2], o.tcp))),
    ("connect to the port, IPv6", |o| connect(stream(AddressFamily::INET6)?, (Ipv6Addr::LOCALHOST, o.tcp))),
    ("connect to no address", |o| connect(stream(AddressFamily::INET)?, ([0, 0, 0, 0], o.other_tcp))),
    ("connect to no address, IPv6", |o| {
        connect(stream(AddressFamily::INET6)?, (Ipv6Addr::UNSPECIFIED, o.other_tcp))
    }),
    ("connect without waiting", |o| {
        TcpStream::connect_timeout(&(LOCAL, o.other_tcp).into(), Duration::from_secs(30)).map(drop)
    }),
    ("connect by a first packet with data", |o| {
        let socket = stream(AddressFamily::INET)?;
        let fast = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
        Ok(rustix::net::sendto(&socket, b"x", fast, &address((LOCAL, o.other_tcp))).map(drop)?)
    }),
    ("connect when there is data", |o| {
        let socket = stream(AddressFamily::INET)?;
        option(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, &1_i32.to_ne_bytes())?;
        rustix::net::connect(&socket, &address((LOCAL, o.other_tcp)))?;
        Ok(rustix::net::send(&socket, b"x", SendFlags::empty()).map(drop)?)
    }),
    ("connect elsewhere after a listed one", |o| {
        let socket = stream(AddressFamily::INET)?;
        rustix::net::connect(&socket, &address((LOCAL, o.tcp)))?;
        rustix::net::connect_unspec(&socket)?;
        connect(socket, (LOCAL, o.other_tcp))
    }),
    ("connect in a thread", |o| {
        let to = (LOCAL, o.other_tcp);
        std::thread::spawn(move || connect(stream(AddressFamily::INET)?, to)).join().unwrap()
    }),
    ("connect in a child in a session of its own", |o| {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}", o.other_tcp);
        let status = std::process::Command::new("setsid").args(["-w", "bash", "-c", &script]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("it ended")) }
    }),
    ("connect by a route in the packet", |o| {
        let socket = stream(AddressFamily::INET)?;
        route(&socket)?;
        // where it is let out, nobody answers
        let second = Some(Duration::from_secs(1));
        rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Send, second)?;
        connect(socket, (LOCAL, o.tcp))
    }),
    ("send by a route in the packet", |o| {
        let socket = datagram(AddressFamily::INET)?;
        route(&socket)?;
        send(&socket, (LOCAL, o.udp))
    }),
    ("connect by io_uring", |o| ring::connect(&stream(AddressFamily::INET)?, (LOCAL, o.other_tcp).into())),
    ("connect by several ways", |o| {
        let several = ipproto::MPTCP;
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, Some(several))?;
        connect(socket, (LOCAL, o.other_tcp))
    }),
    ("send", |o| send(&datagram(AddressFamily::INET)?, (LOCAL, o.other_udp))),
    ("send, mapped", |o| send(&datagram(AddressFamily::INET6)?, (LOCAL.to_ipv6_mapped(), o.other_udp))),
    ("send, IPv6", |o| send(&datagram(AddressFamily::INET6)?, (Ipv6Addr::LOCALHOST, o.other_udp))),
    ("send an IPv4 address by an IPv6 socket", |o| {
        send(&datagram(AddressFamily::INET6)?, (LOCAL, o.other_udp))
    }),
    ("send, connected", |o| {
        let socket = UdpSocket::bind((LOCAL, 0))?;
        socket.connect((LOCAL, o.other_udp))?;
        socket.send(b"?").map(drop)
    }),
    ("send elsewhere though connected", |o| {
        let socket = datagram(AddressFamily::INET)?;
        rustix::net::connect(&socket, &address((LOCAL, o.udp)))?;
        send(&socket, (LOCAL, o.other_udp))
    }),
    ("send several", |o| several(&datagram(AddressFamily::INET)?, (LOCAL, o.other_udp).into())),
    ("send to all", |o| {
        let socket = datagram(AddressFamily::INET)?;
        rustix::net::sockopt::set_socket_broadcast(&socket, true)?;
        send(&socket, ([127, 255, 255, 255], o.other_udp))
    }),
    ("send to the port elsewhere", |o| send(&datagram(AddressFamily::INET)?, ([127, 0, 0, 2], o.udp))),
    ("listen at another's port", |o| TcpListener::bind(("127.0.0.9", o.other_tcp)).map(drop)),
    ("listen at another's port, IPv6", |o| {
        let socket = stream(AddressFamily::INET6)?;
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        Ok(rustix::net::bind(&socket, &address((Ipv4Addr::new(127, 0, 0, 9).to_ipv6_mapped(), o.other_tcp)))?)
    }),
    ("share another's port", |o| {
        let socket = stream(AddressFamily::INET)?;
        rustix::net::sockopt::set_socket_reuseport(&socket, true)?;
        Ok(rustix::net::bind(&socket, &address(([127, 0, 0, 9], o.other_tcp)))?)
    }),
    ("take its own port for UDP", |o| UdpSocket::bind((LOCAL, o.own)).map(drop)),
    ("take a port for UDP, IPv6", |o| UdpSocket::bind((Ipv6Addr::LOCALHOST, o.own)).map(drop)),
    ("make packets", |_| kind(AddressFamily::INET, SocketType::RAW, ipproto::RAW)),
    ("make packets of TCP", |_| kind(AddressFamily::INET, SocketType::RAW, ipproto::TCP)),
    ("make packets of UDP, IPv6", |_| kind(AddressFamily::INET6, SocketType::RAW, ipproto::UDP)),
    ("make packets of ICMP", |_| kind(AddressFamily::INET, SocketType::RAW, ipproto::ICMP)),
    ("make packets of ICMP, IPv6", |_| kind(AddressFamily::INET6, SocketType::RAW, ipproto::ICMPV6)),
    ("make a socket of UDP-Lite", |_| kind(AddressFamily::INET, SocketType::DGRAM, ipproto::UDPLITE)),
    ("make a socket of MPTCP, IPv6", |_| kind(AddressFamily::INET6, SocketType::STREAM, ipproto::MPTCP)),
    ("make a socket of SCTP", |_| kind(AddressFamily::INET, SocketType::STREAM, ipproto::SCTP)),
];

fn address(to: (impl Into<IpAddr>, u16)) -> SocketAddr {
    SocketAddr::new(to.0.into(), to.1)
}

fn stream(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket(family, SocketType::STREAM, None)?)
}

fn datagram(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket(family, SocketType::DGRAM, None)?)
}

fn kind(family: AddressFamily, kind: SocketType, protocol: rustix::net::Protocol) -> io::Result<()> {
    Ok(rustix::net::socket(family, kind, Some(protocol)).map(drop)?)
}

fn connect(socket: OwnedFd, to: (impl Into<IpAddr>, u16)) -> io::Result<()> {
    Ok(rustix::net::connect(&socket, &address(to))?)
}

fn send(socket: &OwnedFd, to: (impl Into<IpAddr>, u16)) -> io::Result<()> {
    Ok(rustix::net::sendto(socket, b"?", SendFlags::empty(), &address(to)).map(drop)?)
}

fn option(socket: &OwnedFd, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    let len = value.len() as libc::socklen_t;
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// First to 127.0.0.3, whatever the address says (`IPOPT_SSRR`).
fn route(socket: &OwnedFd) -> io::Result<()> {
    option(socket, libc::IPPROTO_IP, libc::IP_OPTIONS, &[0x89, 7, 4, 127, 0, 0, 3, 0])
}

fn several(socket: &OwnedFd, to: SocketAddr) -> io::Result<()> {
    let SocketAddr::V4(to) = to else { return Err(io::Error::other("no IPv4 address")) };
    let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    name.sin_family = libc::AF_INET as u16;
    name.sin_port = to.port().to_be();
    name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
    let mut part = libc::iovec { iov_base: b"?".as_ptr().cast_mut().cast(), iov_len: 1 };
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_name = (&raw mut name).cast();
    message.msg_hdr.msg_namelen = size_of_val(&name) as u32;
    message.msg_hdr.msg_iov = &raw mut part;
    message.msg_hdr.msg_iovlen = 1;
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), &raw mut message, 1, 0) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
