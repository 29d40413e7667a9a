//! The loop of either of the two: one epoll over its doors, its connections, the room's end and its twin's.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::datagrams::Datagrams;
use super::gates::BACKLOG;
use super::knock::{Shut, Tables};
use super::streams::{Fate, Streams, reset};

/// What everything is read into: no datagram is longer.
const BUFFER: usize = 64 << 10;
/// How many connections are accepted before it is others' turn.
const TURNS: usize = 64;
/// How long after the room what it has said may take to get through.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How soon one tries to accept again where there was nothing to do it with.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket, and where it leads.
#[derive(Debug)]
pub(super) struct Door {
    pub socket: OwnedFd,
    /// Where one address was asked for; else wherever a connection says.
    pub to: Option<SocketAddr>,
    /// It is deaf, for nobody listens where it leads.
    pub shut: Option<Shut>,
}

/// All that one of the two serves with.
#[derive(Debug)]
pub(super) struct Serve {
    epoll: OwnedFd,
    /// Process 1 of the room.
    host: OwnedFd,
    /// Closed at the other end when its twin has ended.
    twin: Option<OwnedFd>,
    /// Whether it waits for its twin at its own end, as the one that is watched.
    waits: bool,
    doors: Vec<Door>,
    /// Of the room's network, where that isn't ours to know.
    tables: Option<Tables>,
    streams: Streams,
    datagrams: Datagrams,
    buffer: Vec<u8>,
    /// No door is listened at, until then or until a connection ends.
    full: Option<Instant>,
    /// The room has ended, and until when what it has said may be sent on.
    ending: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Host,
    Twin,
    Door(usize),
    Stream(usize),
    Port(usize),
    Flow(usize),
}

impl Source {
    fn data(self) -> EventData {
        let of = |kind: u64, number: usize| EventData::new_u64(kind | (number as u64) << 8);
        match self {
            Self::Host => of(0, 0),
            Self::Twin => of(1, 0),
            Self::Door(number) => of(2, number),
            Self::Stream(number) => of(3, number),
            Self::Port(number) => of(4, number),
            Self::Flow(number) => of(5, number),
        }
    }

    const fn of(data: u64) -> Self {
        let number = (data >> 8) as usize;
        match data & 0xff {
            0 => Self::Host,
            1 => Self::Twin,
            2 => Self::Door(number),
            3 => Self::Stream(number),
            4 => Self::Port(number),
            _ => Self::Flow(number),
        }
    }
}

/// What one of the two begins with.
pub(super) struct Parts {
    pub host: OwnedFd,
    pub twin: OwnedFd,
    pub waits: bool,
    pub doors: Vec<Door>,
    pub tables: Option<Tables>,
    pub streams: Streams,
    pub datagrams: Datagrams,
}

impl Serve {
    pub fn new(parts: Parts) -> io::Result<Self> {
        let Parts { host, twin, waits, doors, tables, streams, datagrams } = parts;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &host, Source::Host.data(), EventFlags::IN)?;
        epoll::add(&epoll, &twin, Source::Twin.data(), EventFlags::IN)?;
        for (number, socket) in datagrams.ports() {
            epoll::add(&epoll, socket, Source::Port(number).data(), EventFlags::IN)?;
        }
        let twin = Some(twin);
        let buffer = vec![0; BUFFER];
        let (full, ending) = (None, None);
        let serve =
            Self { epoll, host, twin, waits, doors, tables, streams, datagrams, buffer, full, ending };
        serve.hear(true)?;
        Ok(serve)
    }

    /// Serves until the room has ended; an error when its twin ends before.
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            let mut space = [MaybeUninit::uninit(); 128];
            let events = match epoll::wait(&self.epoll, &mut space, self.timeout().as_ref()) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                match Source::of(event.data.u64()) {
                    Source::Host => self.room_ended(),
                    Source::Twin => self.twin_ended()?,
                    Source::Door(number) => self.accept(number),
                    Source::Stream(index) => self.advance(index, event.flags),
                    Source::Port(number) => {
                        let data = |index| Source::Flow(index).data();
                        self.datagrams.go_out(number, &self.epoll, data, &mut self.buffer);
                    }
                    Source::Flow(index) => self.datagrams.come_in(index, &mut self.buffer),
                }
            }
            for index in std::mem::take(&mut self.streams.again) {
                self.advance(index, EventFlags::empty());
            }
            let now = Instant::now();
            self.knock(now);
            self.datagrams.forget_idle(now);
            self.hear_again(now);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let Some(until) = self.ending else { return false };
        let done = self.streams.open() == 0 && !(self.waits && self.twin.is_some());
        done || Instant::now() >= until
    }

    fn timeout(&self) -> Option<Timespec> {
        if !self.streams.again.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let shut = self.doors.iter().filter_map(|door| door.shut.as_ref().map(|shut| shut.next));
        let next = shut.chain(self.datagrams.sweep).chain(self.full).chain(self.ending).min()?;
        Timespec::try_from(next.saturating_duration_since(Instant::now())).ok()
    }

    /// Nobody in it asks any more, or answers. What was said goes on.
    fn room_ended(&mut self) {
        let _ = epoll::delete(&self.epoll, &self.host);
        self.ending = Some(Instant::now() + LAST_WORDS);
        self.doors.clear();
        self.full = None;
        for index in self.streams.indices() {
            self.advance(index, EventFlags::RDHUP);
        }
    }

    fn twin_ended(&mut self) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ended = rustix::event::poll(&mut [PollFd::new(&self.host, PollFlags::IN)], Some(&now));
        self.twin = None;
        if ended == Ok(1) { Ok(()) } else { Err(io::Error::other("its other half has ended")) }
    }

    fn accept(&mut self, number: usize) {
        for _ in 0..TURNS {
            if self.streams.is_full() {
                return self.stop_hearing(None);
            }
            let Some(door) = self.doors.get(number).filter(|door| door.shut.is_none()) else { return };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let near = match rustix::net::accept_with(&door.socket, flags) {
                Ok(near) => near,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    return self.stop_hearing(Some(Instant::now() + PAUSE));
                }
                Err(Errno::AGAIN) => return,
                // It was taken back.
                Err(_) => continue,
            };
            let asked =
                || rustix::net::getsockname(&near).ok().and_then(|name| SocketAddr::try_from(name).ok());
            let Some(to) = door.to.or_else(asked) else { return reset(&near) };
            let data = |index| Source::Stream(index).data();
            let begun = self.streams.begin(near, to, number, &self.epoll, data);
            match begun {
                Ok(Fate::Refused(number)) => self.shut(number),
                Ok(_) => {}
                Err(_) => return self.stop_hearing(Some(Instant::now() + PAUSE)),
            }
        }
    }

    fn advance(&mut self, index: usize, flags: EventFlags) {
        let ending = self.ending.is_some();
        match self.streams.advance(index, flags, ending, &mut self.buffer) {
            Fate::Goes => {}
            Fate::Over => self.hear_on(),
            Fate::Refused(number) => {
                self.hear_on();
                self.shut(number);
            }
        }
    }

    /// Nobody listens behind a door: so nobody does before it, until somebody does.
    fn shut(&mut self, number: usize) {
        if self.tables.is_some()
            && let Some(door) = self.doors.get_mut(number).filter(|door| door.shut.is_none())
        {
            let _ = epoll::delete(&self.epoll, &door.socket);
            // It stays bound, and refuses.
            let _ = rustix::net::shutdown(&door.socket, Shutdown::Read);
            door.shut = Some(Shut::now(Instant::now()));
        }
    }

    /// Opens the doors behind which somebody listens by now.
    fn knock(&mut self, now: Instant) {
        let Some(tables) = &self.tables else { return };
        for (number, door) in self.doors.iter_mut().enumerate() {
            let (Some(shut), Some(to)) = (&mut door.shut, door.to) else { continue };
            if now < shut.next {
                continue;
            }
            shut.again(now);
            if tables.is_awaited(to, &mut self.buffer) && rustix::net::listen(&door.socket, BACKLOG).is_ok() {
                let data = Source::Door(number).data();
                let heard = self.full.is_some()
                    || epoll::add(&self.epoll, &door.socket, data, EventFlags::IN).is_ok();
                door.shut = if heard { None } else { door.shut };
            }
        }
    }

    /// No more connections, until one ends or until then.
    fn stop_hearing(&mut self, until: Option<Instant>) {
        if self.full.is_none() {
            let _ = self.hear(false);
        }
        // Far enough away: a connection's end comes before.
        self.full = Some(until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600)));
    }

    fn hear_on(&mut self) {
        if self.full.take().is_some() {
            let _ = self.hear(true);
        }
    }

    fn hear_again(&mut self, now: Instant) {
        if self.full.is_some_and(|full| full <= now) {
            if self.streams.is_full() { self.stop_hearing(None) } else { self.hear_on() }
        }
    }

    /// Hears of those who ask at open doors, or doesn't.
    fn hear(&self, is: bool) -> io::Result<()> {
        let open = self.doors.iter().enumerate().filter(|(_, door)| door.shut.is_none());
        let done = open.map(|(number, door)| {
            if is {
                epoll::add(&self.epoll, &door.socket, Source::Door(number).data(), EventFlags::IN)
            } else {
                epoll::delete(&self.epoll, &door.socket)
            }
        });
        // All of them, whatever comes of one.
        Ok(done.fold(Ok(()), Result::and)?)
    }
}
