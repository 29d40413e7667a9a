//! The keeper's loop: one epoll over the socket, the signals, the clients and the workloads' output.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use types::Timestamp;

use super::ahead::Ahead;
use super::client::Client;
use super::detach;
use super::replica::{Key, Part, Replica, STREAMS};
use super::settle::Remnant;
use crate::bpf::Programs;
use crate::cgroup::Cgroups;
use crate::home::{Home, Lock};
use crate::signals;
use crate::skin::Means;

/// The buffer everything is read into.
const BUFFER: usize = 64 << 10;
/// A workload that writes faster than this is read is drained no further at its end.
const DRAIN_LIMIT: usize = 4 << 20;
/// How long a keeper with nothing to keep waits for a client.
const IDLE: Duration = Duration::from_secs(5);
/// How often a log that couldn't be written is tried again.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// All there is to a keeper.
pub(super) struct Server {
    pub home: Home,
    pub lock: Lock,
    pub unique: String,
    pub listener: OwnedFd,
    pub cgroups: Cgroups,
    /// Nobody else takes their folders for abandoned.
    _folders: Vec<OwnedFd>,
    pub null: OwnedFd,
    pub signals: OwnedFd,
    pub epoll: OwnedFd,
    pub clients: BTreeMap<u32, Client>,
    pub next_client: u32,
    /// Until when no connection is accepted, after descriptors ran out.
    pub deaf_until: Option<Instant>,
    pub replicas: BTreeMap<Key, Replica>,
    pub next_replica: Key,
    pub ids: BTreeMap<String, Key>,
    /// Whoever of replicas is a child of ours, until it is reaped: whose it is, and what of it.
    pub children: BTreeMap<i32, (Key, Part)>,
    /// What workloads can be confined with, once somebody asked for it.
    pub means: Option<Means>,
    /// The programs that stand at workloads' groups, once somebody asked for them, or why there are none.
    pub programs: Option<Result<Programs, String>>,
    pub ahead: Ahead,
    /// Replicas that are on their way to their end.
    pub busy: BTreeSet<Key>,
    /// Whether a child was reaped since the last look at the busy ones.
    pub reaped: bool,
    /// Trees whose exit was reported though something of them doesn't die, and when to look again.
    pub remnants: Vec<(Remnant, Instant)>,
    /// Replicas whose log could not be written, and when to try again.
    pub unwritten: BTreeSet<Key>,
    pub log_retry: Option<Instant>,
    /// Replicas whose output came too fast, and from when on it is read again.
    pub paused: BTreeMap<Key, Instant>,
    pub sockets: BTreeMap<String, Vec<OwnedFd>>,
    pub idle_until: Option<Instant>,
    pub leaving: Option<Leaving>,
    pub buffer: Vec<u8>,
    pub scratch: Vec<u8>,
}

/// The keeper is ending.
pub(super) struct Leaving {
    /// The client and the request that asked for it.
    pub asked: Option<(u32, u64)>,
    /// When to end though something doesn't die.
    pub give_up: Instant,
    pub done: bool,
}

/// What an epoll event is about; its 64 bits are a kind and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Listener,
    Signals,
    Client(u32),
    /// A replica and one of its streams.
    Pipe(Key, usize),
    /// A replica, of whose leftovers one has ended.
    Left(Key),
    /// A replica whose memory ran out.
    Memory(Key),
}

impl Source {
    pub fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Listener => 0,
            Self::Signals => 1,
            Self::Client(number) => 2 | u64::from(number) << 8,
            Self::Pipe(key, 0) => 3 | u64::from(key) << 8,
            Self::Pipe(key, _) => 4 | u64::from(key) << 8,
            Self::Left(key) => 5 | u64::from(key) << 8,
            Self::Memory(key) => 6 | u64::from(key) << 8,
        })
    }

    fn of(data: u64) -> Self {
        let number = (data >> 8) as u32;
        match data & 0xff {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Client(number),
            3 => Self::Pipe(number, 0),
            4 => Self::Pipe(number, 1),
            5 => Self::Left(number),
            _ => Self::Memory(number),
        }
    }
}

impl Server {
    pub fn new(
        home: Home,
        lock: Lock,
        unique: String,
        listener: OwnedFd,
        cgroups: Cgroups,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = signals::watch()?;
        epoll::add(&epoll, &signals, Source::Signals.data(), EventFlags::IN)?;
        epoll::add(&epoll, &listener, Source::Listener.data(), EventFlags::IN)?;
        Ok(Self {
            home,
            lock,
            unique,
            listener,
            _folders: cgroups.hold(),
            cgroups,
            null: detach::null()?,
            signals,
            epoll,
            clients: BTreeMap::new(),
            next_client: 0,
            deaf_until: None,
            replicas: BTreeMap::new(),
            next_replica: 0,
            ids: BTreeMap::new(),
            children: BTreeMap::new(),
            means: None,
            programs: None,
            ahead: Ahead::default(),
            busy: BTreeSet::new(),
            reaped: false,
            remnants: Vec::new(),
            unwritten: BTreeSet::new(),
            log_retry: None,
            paused: BTreeMap::new(),
            sockets: BTreeMap::new(),
            idle_until: None,
            leaving: None,
            buffer: vec![0; BUFFER],
            scratch: Vec::new(),
        })
    }

    /// Runs until it was told to end, or has nothing to do.
    pub fn run(mut self) -> io::Result<()> {
        self.settle();
        while !self.is_done() {
            let mut space = [MaybeUninit::uninit(); 64];
            let timeout = self.timeout();
            let events = match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
                Ok((events, _)) => events,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                match Source::of(event.data.u64()) {
                    Source::Listener => self.accept(),
                    Source::Signals => {
                        if signals::drain(&self.signals) {
                            self.leave(None, super::SIGNALLED_GRACE);
                        }
                        self.reap();
                    }
                    Source::Client(number) => self.serve(number),
                    Source::Pipe(key, stream) => {
                        self.copy(key, stream);
                    }
                    Source::Left(key) => {
                        self.busy.insert(key);
                        self.reaped = true;
                    }
                    Source::Memory(key) => self.starve(key),
                }
            }
            self.settle();
        }
        self.farewell();
        Ok(())
    }

    /// Registers a workload's stream.
    pub fn watch_pipe(&self, pipe: BorrowedFd<'_>, key: Key, stream: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, pipe, Source::Pipe(key, stream).data(), EventFlags::IN)?)
    }

    /// One read of a workload's stream into its log. The number of bytes; 0 when there are none now.
    pub fn copy(&mut self, key: Key, stream: usize) -> usize {
        let Some(replica) = self.replicas.get_mut(&key) else { return 0 };
        let Some(pipe) = &replica.pipes[stream] else { return 0 };
        let count = match rustix::io::read(pipe, &mut self.buffer) {
            Ok(0) => {
                replica.pipes[stream] = None;
                return 0;
            }
            Ok(count) => count,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return 0,
            Err(error) => {
                detach::say(&format!("can't read the output of {}: {error}", replica.id));
                replica.pipes[stream] = None;
                return 0;
            }
        };
        if let Some(log) = &mut replica.log {
            let made = log.write(STREAMS[stream], &self.buffer[..count], now(), &mut self.scratch);
            if log.dropped().is_some() && self.unwritten.insert(key) {
                self.log_retry.get_or_insert(Instant::now() + LOG_RETRY);
            }
            if let Some(until) = replica.pace.spend(made, Instant::now())
                && self.paused.insert(key, until).is_none()
            {
                // Not to be read is not enough: of an end that was closed we would hear all the same, again and again.
                for pipe in replica.pipes.iter().flatten() {
                    let _ = epoll::delete(&self.epoll, pipe);
                }
            }
        }
        count
    }

    /// Goes on with output that came too fast.
    pub fn read_on(&mut self, at: Instant) {
        let due: Vec<Key> =
            self.paused.iter().filter(|(_, until)| **until <= at).map(|(key, _)| *key).collect();
        for key in due {
            self.paused.remove(&key);
            let pipes = self.replicas.get(&key).map(|replica| replica.pipes.each_ref());
            for (stream, pipe) in pipes.iter().flatten().enumerate() {
                if let Some(Err(error)) = pipe.as_ref().map(|pipe| self.watch_pipe(pipe.as_fd(), key, stream))
                {
                    detach::say(&format!("can't read on: {error}"));
                }
            }
        }
    }

    /// What a workload that ended has left in its pipes.
    pub fn drain(&mut self, key: Key) {
        for stream in 0..STREAMS.len() {
            let mut drained = 0;
            while drained < DRAIN_LIMIT {
                match self.copy(key, stream) {
                    0 => break,
                    count => drained += count,
                }
            }
        }
    }

    /// Tries the logs that could not be written.
    pub fn retry_logs(&mut self, at: Instant) {
        if self.log_retry.is_some_and(|retry| retry <= at) {
            let replicas = &mut self.replicas;
            self.unwritten.retain(|key| {
                let log = replicas.get_mut(key).and_then(|replica| replica.log.as_mut());
                log.is_some_and(|log| !log.retry(now()))
            });
            self.log_retry = (!self.unwritten.is_empty()).then(|| at + LOG_RETRY);
        }
    }

    /// Starts or ends the wait of a keeper with nothing to keep.
    pub fn note_idle(&mut self, at: Instant) {
        let nothing = self.clients.is_empty() && self.replicas.is_empty() && self.sockets.is_empty();
        let nothing = nothing && self.remnants.is_empty();
        let idle = nothing && std::process::id() != 1;
        self.idle_until = if idle { self.idle_until.or(Some(at + IDLE)) } else { None };
    }

    fn is_done(&self) -> bool {
        let idle = self.idle_until.is_some_and(|until| until <= Instant::now());
        self.leaving.as_ref().is_some_and(|leaving| leaving.done) || idle
    }

    fn timeout(&self) -> Option<Timespec> {
        let busy = self.busy.iter().filter_map(|key| self.replicas.get(key)?.deadline());
        let remnants = self.remnants.iter().map(|(_, again)| *again);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.give_up);
        let next = busy
            .chain(remnants)
            .chain(leaving)
            .chain(self.idle_until)
            .chain(self.log_retry)
            .chain(self.ahead.due)
            .chain(self.paused.values().copied())
            .chain(self.deaf_until)
            .min()?;
        Timespec::try_from(next.saturating_duration_since(Instant::now())).ok()
    }

    /// The last act: the socket goes first, so that nobody comes to a keeper that is leaving.
    fn farewell(&mut self) {
        self.home.unlink_socket();
        self.drop_ahead();
        self.cgroups.close();
        if let Some((client, request)) = self.leaving.as_ref().and_then(|leaving| leaving.asked) {
            self.answer(client, request, Ok((serde_json::Value::Bool(true), Vec::new())));
        }
        detach::say("the keeper ends");
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The time for people: it stands in logs, and nothing is decided by it.
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
