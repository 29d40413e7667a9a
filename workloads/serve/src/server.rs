//! Server: the event loop.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::connection::{Connection, Progress};
use crate::workers::Workers;
use crate::{Reply, Request};

/// The most connections at once; the kernel keeps the next ones waiting.
const MAX_CONNECTIONS: usize = 8 * 1024;
/// How long open requests may go on after SIGTERM; whoever asked for the end waits longer than that, or kills.
const GRACE: Duration = Duration::from_secs(5);
/// Events taken from the kernel at once.
const BATCH: usize = 128;

// what an event is about; connections have their index in the low half and how often it was used in the high one
const LISTENER: u64 = u64::MAX;
const SIGNAL: u64 = u64::MAX - 1;
const RESULTS: u64 = u64::MAX - 2;

/// A listening server.
pub(crate) struct Server {
    epoll: OwnedFd,
    listener: Option<TcpListener>,
    /// The listener is out of the epoll set, since no more connections can be had.
    full: bool,
    signal: UnixStream,
    workers: Workers,
    slots: Vec<Slot>,
    free: Vec<usize>,
    stopping: Option<Instant>,
}

struct Slot {
    used: u64,
    connection: Option<Connection>,
}

impl Server {
    pub(crate) fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let (signal, write_end) = UnixStream::pair()?;
        signal.set_nonblocking(true)?;
        for number in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::low_level::pipe::register(number, write_end.try_clone()?)?;
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let workers = Workers::new()?;
        let readable = epoll::EventFlags::IN;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), readable)?;
        epoll::add(&epoll, &signal, epoll::EventData::new_u64(SIGNAL), readable)?;
        epoll::add(&epoll, workers.bell(), epoll::EventData::new_u64(RESULTS), readable)?;
        let (slots, free) = (Vec::new(), Vec::new());
        Ok(Self {
            epoll,
            listener: Some(listener),
            full: false,
            signal,
            workers,
            slots,
            free,
            stopping: None,
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.as_ref().ok_or(ErrorKind::NotConnected)?.local_addr()
    }

    /// Serves until SIGTERM or SIGINT.
    pub(crate) fn run(mut self, handler: impl Fn(&Request<'_>) -> Reply) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        loop {
            let timeout = match self.stopping {
                None => None,
                Some(_) if self.open() == 0 => return Ok(()),
                Some(since) if since.elapsed() >= GRACE => return Ok(()),
                Some(since) => Some(GRACE.saturating_sub(since.elapsed())),
            };
            let timeout = timeout.map(|left| Timespec::try_from(left).expect("five seconds fit"));
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(&handler)?,
                    SIGNAL => self.stop(&handler)?,
                    RESULTS => self.results(&handler)?,
                    token => self.connection(token, event.flags, &handler)?,
                }
            }
        }
    }

    fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn accept(&mut self, handler: &impl Fn(&Request<'_>) -> Reply) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            if self.open() >= MAX_CONNECTIONS {
                return self.fill_up();
            }
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let token = self.admit(Connection::new(stream))?;
                    self.drive(token, handler)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // out of descriptors or memory
                Err(_) if self.open() > 0 => return self.fill_up(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes no more connections until one ends.
    fn fill_up(&mut self) -> io::Result<()> {
        if let Some(listener) = self.listener.as_ref().filter(|_| !self.full) {
            epoll::delete(&self.epoll, listener)?;
            self.full = true;
        }
        Ok(())
    }

    fn admit(&mut self, connection: Connection) -> io::Result<u64> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { used: 0, connection: None });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.used = (slot.used + 1) & 0x7fff_ffff;
        let token = slot.used << 32 | index as u64;
        let flags =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &connection.stream, epoll::EventData::new_u64(token), flags)?;
        slot.connection = Some(connection);
        Ok(token)
    }

    /// The connection called `token`, unless it is over and its place taken by another.
    fn find(&mut self, token: u64) -> Option<&mut Connection> {
        let slot = self.slots.get_mut((token & 0xffff_ffff) as usize)?;
        slot.connection.as_mut().filter(|_| slot.used == token >> 32)
    }

    fn connection(
        &mut self,
        token: u64,
        flags: epoll::EventFlags,
        handler: &impl Fn(&Request<'_>) -> Reply,
    ) -> io::Result<()> {
        let Some(connection) = self.find(token) else { return Ok(()) };
        let hung_up = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        connection.notice(flags.contains(epoll::EventFlags::IN), flags.intersects(hung_up));
        self.drive(token, handler)
    }

    fn drive(&mut self, token: u64, handler: &impl Fn(&Request<'_>) -> Reply) -> io::Result<()> {
        let stopping = self.stopping.is_some();
        let Some(connection) = self.find(token) else { return Ok(()) };
        match connection.drive(handler, stopping) {
            Progress::Waiting if stopping && connection.is_idle() => self.close(token),
            Progress::Waiting => Ok(()),
            Progress::Deferred(job) => self.workers.run(token, job),
            Progress::Over => self.close(token),
        }
    }

    fn results(&mut self, handler: &impl Fn(&Request<'_>) -> Reply) -> io::Result<()> {
        for (token, response) in self.workers.results() {
            if let Some(connection) = self.find(token) {
                connection.complete(&response);
                self.drive(token, handler)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, token: u64) -> io::Result<()> {
        let index = (token & 0xffff_ffff) as usize;
        self.slots[index].connection = None;
        self.free.push(index);
        if let Some(listener) = self.listener.as_ref().filter(|_| self.full) {
            epoll::add(&self.epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
            self.full = false;
        }
        Ok(())
    }

    /// Takes whom the kernel has already let in, closes the door, and every connection that holds no request.
    fn stop(&mut self, handler: &impl Fn(&Request<'_>) -> Reply) -> io::Result<()> {
        let _ = rustix::io::read(self.signal.as_fd(), &mut [0; 16]);
        if self.stopping.is_some() {
            return Ok(());
        }
        self.accept(handler)?;
        self.listener = None;
        self.stopping = Some(Instant::now());
        for index in 0..self.slots.len() {
            let token = self.slots[index].used << 32 | index as u64;
            if let Some(connection) = self.find(token) {
                connection.notice(true, false);
                self.drive(token, handler)?;
            }
        }
        Ok(())
    }
}
