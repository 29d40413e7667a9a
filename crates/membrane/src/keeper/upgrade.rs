//! Becoming a newer program without losing anything: the keeper executes it in its own place.
//!
//! The process stays, and with it the children, their pipes, the lock, the socket and the connections.
//! What is only in memory goes through a file in memory, as JSON that a newer keeper must be able to read.
//! Which program may be executed is the client's business: it has asked it first (`is_check`).

#![expect(unsafe_code, reason = "descriptors are inherited by number across execve")]

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::budget::{Held, SavedHeld};
use super::client::Client;
use super::pace::Pace;
use super::relayed::Relayed;
use super::replica::{Order, Replica};
use super::server::{Server, now};
use super::settle::kill_from;
use super::spawn::mounts;
use super::{detach, prepare};
use crate::cgroup::Cgroups;
use crate::exit::{Exit, OutOfMemory};
use crate::home::{Home, Lock};
use crate::log::{Dropped, LogLimits, LogWriter};
use crate::marker;
use crate::tree::Tree;
use crate::wire::frame::Decoder;
use crate::wire::outbox::Outbox;

/// Set to the number of the descriptor the state is in.
const STATE: &str = "MESH_KEEPER_STATE";
/// Set to have a program say whether it could take over, and do nothing else.
pub(crate) const CHECK: &str = "MESH_KEEPER_CHECK";
/// What a program that could take over says then; the number is that of [`Saved`].
pub(crate) const CHECKED: &str = "keeper state 1";

/// Everything a keeper has in memory. Fields may be added, with a default; none may change its meaning.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    unique: String,
    lock: RawFd,
    listener: RawFd,
    clients: Vec<SavedClient>,
    replicas: Vec<SavedReplica>,
    sockets: BTreeMap<String, Vec<RawFd>>,
    leaving_ms: Option<u64>,
    /// `None` of a keeper that had none.
    #[serde(default)]
    cgroups: Option<Cgroups>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedClient {
    socket: RawFd,
    watching: bool,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// The request that asked for the upgrade.
    asked: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedReplica {
    id: String,
    pid: i32,
    /// Process 1 of its room.
    #[serde(default)]
    host: Option<i32>,
    /// The relay of its network.
    #[serde(default)]
    relay: Option<i32>,
    started_at: Timestamp,
    note: String,
    pipes: [Option<RawFd>; 2],
    logs: Option<SavedLog>,
    order: SavedOrder,
    exit: Option<Exit>,
    ended: bool,
    #[serde(default)]
    held: Option<SavedHeld>,
    #[serde(default)]
    oom: Option<OutOfMemory>,
    #[serde(default)]
    cut: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedLog {
    dir: PathBuf,
    limits: LogLimits,
    dropped: Option<Dropped>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedOrder {
    Run,
    Term { left_ms: u64 },
    Kill,
}

/// Whether this process is only asked if it could take over.
pub(super) fn is_check() -> bool {
    std::env::var_os(CHECK).is_some()
}

/// The state a predecessor left for this process.
pub(super) fn inherited() -> Option<OwnedFd> {
    let number: RawFd = std::env::var(STATE).ok()?.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the variable is set only by `Server::upgrade`, in this very process, just before it
    // executed us; nothing has opened or closed a descriptor since.
    Some(unsafe { take(number) })
}

/// Goes on where the predecessor stopped.
pub(super) fn resume(dir: &Path, state: OwnedFd) -> io::Result<Server> {
    let mut file = File::from(state);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let saved: Saved = serde_json::from_slice(&bytes)?;
    prepare()?;
    // SAFETY: all numbers in the state are of descriptors that the predecessor owned and left open for
    // us; each is taken once.
    let (lock, listener) = unsafe { (take(saved.lock), take(saved.listener)) };
    let home = Home::open(dir)?;
    let cgroups = saved.cgroups.unwrap_or_else(|| Cgroups::prepare(&saved.unique, &home.cgroups()));
    let mut server = Server::new(home, Lock::inherited(lock), saved.unique, listener, cgroups)?;
    for (name, numbers) in saved.sockets {
        // SAFETY: as above.
        let sockets = numbers.into_iter().map(|number| unsafe { take(number) }).collect();
        server.sockets.insert(name, sockets);
    }
    for replica in saved.replicas {
        restore(&mut server, replica)?;
    }
    if let Some(left) = saved.leaving_ms {
        server.leave(None, Duration::from_millis(left));
    }
    for saved in saved.clients {
        let mut inbox = Decoder::default();
        inbox.feed(&saved.received, Vec::new()).map_err(io::Error::other)?;
        let mut outbox = Outbox::default();
        outbox.push_raw(saved.unsent);
        // SAFETY: as above.
        let socket = unsafe { take(saved.socket) };
        let number = server.next_client;
        server.adopt(Client { socket, inbox, outbox, watching: saved.watching })?;
        if let Some(request) = saved.asked {
            server.answer(number, request, Ok((serde_json::Value::Bool(true), Vec::new())));
        }
        server.take_frames(number)?;
    }
    detach::say(&format!("keeper {} is upgraded", std::process::id()));
    server.reap();
    Ok(server)
}

fn restore(server: &mut Server, saved: SavedReplica) -> io::Result<()> {
    let key = server.next_replica;
    // SAFETY: as in `resume`.
    let pipes = saved.pipes.map(|pipe| pipe.map(|number| unsafe { take(number) }));
    for (stream, pipe) in pipes.iter().enumerate() {
        if let Some(pipe) = pipe {
            server.watch_pipe(pipe.as_fd(), key, stream)?;
        }
    }
    let held = saved.held.map(Held::restore);
    server.watch_memory(key, held.as_ref())?;
    let log = saved.logs.and_then(|log| match LogWriter::open(&log.dir, log.limits, log.dropped) {
        Ok(log) => Some(log),
        Err(error) => {
            detach::say(&format!("the log of {} is lost: {error}", saved.id));
            None
        }
    });
    let now = Instant::now();
    let order = match saved.order {
        SavedOrder::Run => Order::Run,
        SavedOrder::Term { left_ms } => {
            Order::Term { until: now + Duration::from_millis(left_ms), told: BTreeMap::new() }
        }
        SavedOrder::Kill => kill_from(now),
    };
    if !saved.ended && (saved.exit.is_some() || !matches!(order, Order::Run)) {
        server.busy.insert(key);
    }
    let replica = Replica {
        mounts: saved.host.and_then(mounts),
        tree: Tree::new(saved.pid, saved.host, marker::entry(&server.unique, &saved.id)),
        id: saved.id,
        pid: saved.pid,
        started_at: saved.started_at,
        note: saved.note,
        held,
        pipes,
        pace: Pace::new(log.as_ref().map_or(0, |log| log.limits().rate), now),
        log,
        order,
        exit: saved.exit,
        oom: saved.oom,
        cut: saved.cut,
        relay: saved.relay.map(Relayed::new),
        ended: saved.ended,
    };
    server.enter(key, replica);
    Ok(())
}

impl Server {
    /// Becomes `program`. Returns only when that failed, and nothing has changed then.
    pub fn upgrade(&mut self, program: &Path, asked: (u32, u64)) -> io::Error {
        self.drop_ahead();
        match self.save(asked).and_then(|state| self.execute(program, &state)) {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn save(&mut self, asked: (u32, u64)) -> io::Result<File> {
        for replica in self.replicas.values_mut() {
            if let Some(log) = &mut replica.log {
                log.finish(false, now(), &mut self.scratch);
            }
        }
        // a connection with descriptors under way can't be handed over; its client comes back by itself
        self.clients.retain(|_, client| !client.inbox.holds_fds() && client.outbox.rest().is_some());
        let clients = self.clients.iter().map(|(number, client)| SavedClient {
            socket: client.socket.as_raw_fd(),
            watching: client.watching,
            received: client.inbox.rest().to_vec(),
            unsent: client.outbox.rest().unwrap_or_default(),
            asked: (asked.0 == *number).then_some(asked.1),
        });
        let left = |until: Instant| {
            let left = until.saturating_duration_since(Instant::now());
            u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
        };
        let saved = Saved {
            unique: self.unique.clone(),
            lock: self.lock.as_fd().as_raw_fd(),
            listener: self.listener.as_raw_fd(),
            clients: clients.collect(),
            replicas: self.replicas.values().map(|replica| save_replica(replica, &left)).collect(),
            sockets: self
                .sockets
                .iter()
                .map(|(n, fds)| (n.clone(), fds.iter().map(AsRawFd::as_raw_fd).collect()))
                .collect(),
            cgroups: Some(self.cgroups.clone()),
            leaving_ms: self.leaving.as_ref().map(|leaving| left(leaving.give_up)),
        };
        let mut file = File::from(rustix::fs::memfd_create("keeper-state", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&saved)?)?;
        Ok(file)
    }

    fn execute(&self, program: &Path, state: &File) -> io::Result<std::convert::Infallible> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
        let path = text(program.as_os_str().as_bytes())?;
        let argv =
            [path.clone(), c"keeper".into(), c"--dir".into(), text(self.home.dir().as_os_str().as_bytes())?];
        let kept = std::env::vars_os().filter(|(name, _)| name != STATE);
        let number = OsString::from(state.as_raw_fd().to_string());
        let envp = kept
            .chain([(OsString::from(STATE), number)])
            .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<io::Result<Vec<_>>>()?;
        let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&argv), pointers(&envp));
        self.inherit(state.as_fd(), FdFlags::empty());
        // SAFETY: the path and both arrays are zero-terminated and live until the call returns.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        let error = io::Error::last_os_error();
        self.inherit(state.as_fd(), FdFlags::CLOEXEC);
        Err(error)
    }

    /// Lets all that is in the state survive an `execve`, or no longer.
    fn inherit(&self, state: BorrowedFd<'_>, flags: FdFlags) {
        let clients = self.clients.values().map(|client| client.socket.as_fd());
        let pipes = self.replicas.values().flat_map(|r| r.pipes.iter().flatten().map(AsFd::as_fd));
        let sockets = self.sockets.values().flatten().map(AsFd::as_fd);
        let own = [state, self.lock.as_fd(), self.listener.as_fd()];
        for fd in own.into_iter().chain(clients).chain(pipes).chain(sockets) {
            let _ = rustix::io::fcntl_setfd(fd, flags);
        }
    }
}

fn save_replica(replica: &Replica, left: &impl Fn(Instant) -> u64) -> SavedReplica {
    SavedReplica {
        id: replica.id.clone(),
        pid: replica.pid,
        host: replica.tree.host(),
        relay: replica.relay.as_ref().map(|relay| relay.pid),
        started_at: replica.started_at,
        note: replica.note.clone(),
        pipes: replica.pipes.each_ref().map(|pipe| pipe.as_ref().map(AsRawFd::as_raw_fd)),
        logs: replica.log.as_ref().map(|log| SavedLog {
            dir: log.dir().to_owned(),
            limits: log.limits(),
            dropped: log.dropped().cloned(),
        }),
        order: match replica.order {
            Order::Run => SavedOrder::Run,
            Order::Term { until, .. } => SavedOrder::Term { left_ms: left(until) },
            Order::Kill { .. } => SavedOrder::Kill,
        },
        held: replica.held.as_ref().map(Held::save),
        exit: replica.exit,
        oom: replica.oom,
        cut: replica.cut,
        ended: replica.ended,
    }
}

/// Owns an inherited descriptor, closed again in whatever is executed next.
///
/// # Safety
/// The number must be of an open descriptor that nothing else owns.
unsafe fn take(number: RawFd) -> OwnedFd {
    // SAFETY: as promised by the caller.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    let _ = rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC);
    fd
}
