//! How the two come to be: one is executed, makes what is the machine's, and forks; the other enters the room's network,
//! makes what is in there, and hands it over. Then both give up all that they don't need.

#![expect(unsafe_code, reason = "fork and namespaces have no safe binding")]

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Resource};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::datagrams::{self, Datagrams};
use super::gates::{self, Gate, Transport};
use super::knock::{Shut, Tables};
use super::network;
use super::serve::{Door, Parts, Serve};
use super::streams::{self, Streams};
use super::{Order, READY};
use crate::skin::{GUEST, drop_capabilities};

/// The most sockets of one room: as many rules as there may be, in two families.
const MOST_GATES: usize = 160;
/// Descriptors that are for nothing of what is counted.
const SPARE: usize = 256;

/// A listening socket that leads to the same place in the other network.
type Bound = (OwnedFd, SocketAddr);

/// The whole life of a relay. To be called first in `main`.
pub(crate) fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The keeper's log.
            let _ = writeln!(io::stderr(), "a relay ends: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live() -> io::Result<()> {
    let mut told = Vec::new();
    io::stdin().read_to_end(&mut told)?;
    let order: Order = serde_json::from_slice(&told)?;
    let status = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    for standard in [0, 1] {
        // SAFETY: standard descriptors, which no value owns.
        if unsafe { libc::dup2(null.as_raw_fd(), standard) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    drop(null);
    // SAFETY: a text that ends with zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"mesh-relay".as_ptr()) };
    let tell = |text: &str| rustix::io::write(&status, text.as_bytes()).map(drop);
    let failed = |error: io::Error| {
        let _ = tell(&error.to_string());
        error
    };
    let prepared = || -> io::Result<_> {
        let host = Pid::from_raw(order.host).ok_or(io::ErrorKind::InvalidInput)?;
        let host = rustix::process::pidfd_open(host, PidfdFlags::empty())?;
        let doors = gates::outside(&order.reach.listen)?;
        clashes(&order)?;
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // SAFETY: there is one thread.
        let child = unsafe { libc::fork() };
        if child < 0 { Err(io::Error::last_os_error()) } else { Ok((host, doors, ours, theirs, child)) }
    };
    let (host, doors, ours, theirs, child) = prepared().map_err(failed)?;
    if child == 0 {
        drop((ours, status));
        return inner(&order, host, doors, theirs);
    }
    drop((doors, theirs));
    let serve = outer(&order, host, ours).map_err(failed)?;
    tell(READY)?;
    drop(status);
    serve.run()
}

/// The room's network can't have two at one port: the workload there, and us in place of another.
fn clashes(order: &Order) -> io::Result<()> {
    let own = |(_, port): &&(_, u16)| order.reach.listen.contains(port);
    match order.reach.tcp.iter().find(own) {
        Some((_, port)) => Err(io::Error::other(format!(
            "its own port is {port}, and its plan lets it reach that port elsewhere, which can't be told apart in a network of \
             its own"
        ))),
        None => Ok(()),
    }
}

/// How many connections and how many pairs of UDP there are descriptors for.
fn bounds() -> (usize, usize) {
    let files = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(SPARE);
    let flows = datagrams::MOST.min(files / 8);
    (streams::MOST.min((files - flows) / 2), flows)
}

/// The one in the room's network.
fn inner(order: &Order, host: OwnedFd, doors: Vec<Bound>, link: OwnedFd) -> io::Result<()> {
    let made = || -> io::Result<_> {
        enter(&host)?;
        network::raise()?;
        let (all, has_ipv6) = (gates::of(&order.reach), gates::has_ipv6());
        let usable = |gate: &&Gate| gate.at.is_ipv4() || has_ipv6;
        network::take(all.iter().filter(usable))?;
        let flags: Vec<u8> = all.iter().map(|gate| u8::from(usable(&gate))).collect();
        let sockets = all.iter().filter(usable).map(gates::inside).collect::<io::Result<Vec<_>>>()?;
        let tables = Tables::open()?;
        become_user(GUEST)?;
        let shut = Some(Shut::now(Instant::now()));
        let doors = doors.into_iter().map(|(socket, at)| Door { socket, to: Some(at), shut }).collect();
        let streams = Streams::new(bounds().0, 1);
        let (twin, datagrams) = (link.try_clone()?, Datagrams::new(Vec::new(), 1));
        let parts = Parts { host, twin, waits: false, doors, tables: Some(tables), streams, datagrams };
        let serve = Serve::new(parts)?;
        confine()?;
        Ok((serve, flags, sockets))
    };
    match made() {
        Ok((serve, flags, sockets)) => {
            hand_over(&link, &flags, &sockets)?;
            drop((sockets, link));
            serve.run()
        }
        Err(error) => {
            let _ = rustix::net::send(&link, error.to_string().as_bytes(), SendFlags::NOSIGNAL);
            // It is told by the other.
            Ok(())
        }
    }
}

/// The one in the machine's network.
fn outer(order: &Order, host: OwnedFd, link: OwnedFd) -> io::Result<Serve> {
    let all = gates::of(&order.reach);
    let (mut doors, mut ports) = (Vec::new(), Vec::new());
    for (gate, socket) in take_over(&link, &all)? {
        match gate.transport {
            Transport::Stream => {
                let to = Some(gate.at).filter(|_| !gate.is_any());
                doors.push(Door { socket, to, shut: None });
            }
            Transport::Datagram => ports.push((socket, gate)),
        }
    }
    if let Some(user) = order.user {
        become_user(user)?;
    }
    let (most, flows) = bounds();
    let streams = Streams::new(most, 0);
    let datagrams = Datagrams::new(ports, flows);
    let serve = Serve::new(Parts { host, twin: link, waits: true, doors, tables: None, streams, datagrams })?;
    confine()?;
    Ok(serve)
}

fn hand_over(link: &OwnedFd, flags: &[u8], sockets: &[OwnedFd]) -> io::Result<()> {
    let fds: Vec<_> = sockets.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_GATES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("its reach is too long"));
    }
    // Never an error text: those are no list of zeros and ones, and of more than none.
    let bytes = [&[0], flags].concat();
    rustix::net::sendmsg(link, &[IoSlice::new(&bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The sockets of the gates that there are.
fn take_over(link: &OwnedFd, all: &[Gate]) -> io::Result<Vec<(Gate, OwnedFd)>> {
    let mut bytes = vec![0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_GATES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut bytes)];
    let count = rustix::net::recvmsg(link, parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut sockets = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    match bytes.get(..count) {
        Some([0, flags @ ..]) => {
            let there = all.iter().zip(flags).filter(|(_, flag)| **flag == 1).map(|(gate, _)| *gate);
            Ok(there.zip(sockets).collect())
        }
        Some(text @ [_, ..]) => Err(io::Error::other(String::from_utf8_lossy(text).into_owned())),
        _ => Err(io::Error::other("its other half has ended without a word")),
    }
}

/// Enters the room's network, and the user namespace that it belongs to.
fn enter(host: &OwnedFd) -> io::Result<()> {
    // SAFETY: a system call on numbers; there is one thread.
    let entered = unsafe { libc::setns(host.as_raw_fd(), libc::CLONE_NEWUSER | libc::CLONE_NEWNET) };
    if entered < 0 { Err(gates::named("enter its network", io::Error::last_os_error())) } else { Ok(()) }
}

/// Becomes a user, of no other group than its own.
fn become_user(user: u32) -> io::Result<()> {
    let done = |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: system calls on numbers; there is one thread.
    unsafe {
        // Refused where only root could do it: then there are none but its own.
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>());
        done(libc::syscall(libc::SYS_setresgid, user, user, user))?;
        done(libc::syscall(libc::SYS_setresuid, user, user, user))
    }
}

/// Gives up all capabilities, and all system calls but those that it serves with.
fn confine() -> io::Result<()> {
    // SAFETY: what it takes is this process' own.
    if !unsafe { drop_capabilities() } {
        return Err(io::Error::last_os_error());
    }
    let filter = filter().map_err(|error| io::Error::other(error.to_string()))?;
    seccompiler::apply_filter(&filter).map_err(|error| io::Error::other(error.to_string()))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let family = |family: libc::c_int| {
        let is = SeccompCmpOp::Eq;
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, is, u64::from(family.cast_unsigned()));
        SeccompRule::new(vec![condition?])
    };
    let mut rules: BTreeMap<_, _> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![family(libc::AF_INET)?, family(libc::AF_INET6)?]);
    let arch = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

/// Sockets, memory, waiting and ending.
const CALLS: &[libc::c_long] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_connect,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_getpeername,
    libc::SYS_getrandom,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_write,
];
