//! A network of hosts: a router with one link to each host, every host in a subnet of its own.
//!
//! ```text
//!   h0 10.7.0.2, fd07:0:0:0::2 ─┐
//!   h1 10.7.1.2, fd07:0:0:1::2 ─┼─ router (what is cut is cut there)
//!   h2 10.7.2.2, fd07:0:0:2::2 ─┘
//! ```
//! Routed and not bridged, so that packets which are cut vanish in silence, as they do between sites, whatever
//! the addresses of the two are by then.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::thread::{UnshareFlags, move_into_link_name_space};

use crate::cell;
use crate::host::Host;

/// Which addresses the hosts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    Both,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// A network of hosts.
pub struct Lan {
    hosts: Vec<Host>,
    router: Space,
    family: Family,
    /// From whom to whom nothing passes.
    pub(crate) cuts: Mutex<BTreeSet<(usize, usize)>>,
}

/// The namespaces of a host (or of the router): a network, and a name. They end with the last who uses them.
pub struct Space {
    network: File,
    name: File,
}

impl Lan {
    /// So many hosts that reach each other, by IPv4 and IPv6.
    pub fn new(hosts: usize) -> Self {
        Self::of(hosts, Family::Both)
    }

    /// So many hosts that reach each other by these addresses.
    pub fn of(count: usize, family: Family) -> Self {
        let folder = cell::folder();
        let router = Space::new("router");
        router.inside(|| {
            for forwards in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{forwards}"), "1").unwrap();
            }
        });
        let hosts = (0..count).map(|n| Host::new(n, &folder)).collect();
        let lan = Self { hosts, router, family, cuts: Mutex::default() };
        let links = lan.hosts.iter().map(|host| {
            let (n, peer) = (host.number(), host.space().path());
            format!(
                "link add h{n} type veth peer name eth0 netns {peer}\n{}",
                address(family, n, 1, &format!("h{n}"))
            )
        });
        lan.router.ip(&links.collect::<String>());
        for host in &lan.hosts {
            lan.readdress(host.number());
        }
        lan
    }

    /// One of the hosts.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number]
    }

    /// All of them.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Gives a host other addresses than it had: whoever knew the old ones talks to nobody.
    pub fn move_host(&self, number: usize) {
        self.host(number).next_address();
        self.readdress(number);
    }

    /// The router, where links are cut.
    pub(crate) fn router(&self) -> &Space {
        &self.router
    }

    /// Gives a host's link the addresses that the host says it has, in place of others, and sets it up.
    pub(crate) fn readdress(&self, number: usize) {
        let host = self.host(number);
        let mut text = format!(
            "addr flush dev eth0 scope global\n{}",
            address(self.family, number, host.last(), "eth0")
        );
        if self.family != Family::V6 {
            text.push_str(&format!("route replace default via 10.7.{number}.1\n"));
        }
        if self.family != Family::V4 {
            text.push_str(&format!("route replace default via fd07:0:0:{number}::1\n"));
        }
        host.space().ip(&text);
    }
}

/// The lines that give a link its addresses and set it up.
fn address(family: Family, subnet: usize, last: u8, link: &str) -> String {
    let mut text = format!("link set {link} up\n");
    if family != Family::V6 {
        text.push_str(&format!("addr add 10.7.{subnet}.{last}/24 dev {link}\n"));
    }
    if family != Family::V4 {
        // Without looking whether somebody has it it can be used at once.
        text.push_str(&format!("addr add fd07:0:0:{subnet}::{last}/64 dev {link} nodad\n"));
    }
    text
}

impl Space {
    /// A new one, with nothing but a loopback link that is up.
    pub fn new(name: &str) -> Self {
        let made = std::thread::scope(|scope| scope.spawn(Self::make).join().unwrap());
        made.inside(|| {
            // Not by /proc, where it belongs to the machine's root alone.
            assert!(Command::new("hostname").arg(name).status().unwrap().success());
            // Nobody else is on the links, and looking for somebody takes a second or two.
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
        });
        made.ip("link set lo up\n");
        made
    }

    #[expect(deprecated, reason = "its replacement is unsafe for the sake of one flag that isn't used here")]
    fn make() -> Self {
        rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWUTS).unwrap();
        let open = |kind: &str| File::open(format!("/proc/thread-self/ns/{kind}")).unwrap();
        Self { network: open("net"), name: open("uts") }
    }

    /// Does something inside: sockets that it opens and commands that it starts are the host's.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            for space in [&self.network, &self.name] {
                move_into_link_name_space(space.as_fd(), None).unwrap();
            }
            work()
        };
        let done = std::thread::scope(|scope| scope.spawn(enter).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs lines of `ip` inside.
    pub fn ip(&self, lines: &str) {
        self.ip_with(&[], lines);
    }

    /// The same, with options before.
    pub fn ip_with(&self, options: &[&str], lines: &str) {
        let ran = self.inside(|| {
            let mut ip = Command::new("ip")
                .args(options)
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
            ip.wait_with_output().unwrap()
        });
        assert!(ran.status.success(), "{}\nof\n{lines}", String::from_utf8_lossy(&ran.stderr));
    }

    /// The network's own number: that of whoever lives in it, too.
    pub fn identity(&self) -> u64 {
        rustix::fs::fstat(&self.network).unwrap().st_ino
    }

    /// How another process finds the network.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd())
    }
}
