//! Connections: each of two sockets, and what either end says carried to the other.
//!
//! Nothing is kept of what they say: it is looked at where the kernel holds it, and taken out there as far as the other end
//! has taken it. So who doesn't read holds up who writes, and a relay needs no memory for them.

#![expect(unsafe_code, reason = "a read without a buffer has no safe binding here")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketType, sockopt};

use super::gates;

/// How many there may be at once, if there are descriptors for them.
pub(super) const MOST: usize = 4096;
/// How often a connection is read from before it is others' turn.
const TURNS: usize = 8;

/// How long another machine may say nothing before it is asked whether it is there; it has as long again to answer.
const SILENCE: Duration = Duration::from_secs(60);

/// All of them.
#[derive(Debug)]
pub(super) struct Streams {
    all: Vec<Option<Stream>>,
    free: Vec<usize>,
    most: usize,
    /// Which end of each is in the room.
    room: usize,
    /// Those that had more to say than one turn.
    pub again: Vec<usize>,
}

#[derive(Debug)]
struct Stream {
    /// Who has asked, and who was asked.
    ends: [End; 2],
    connected: bool,
    /// One of them has said its last: what there is must be read to its end, for no event will come of it.
    last: bool,
    door: usize,
}

#[derive(Debug)]
struct End {
    socket: OwnedFd,
    /// All that it had to say was said to the other, its end too.
    done: bool,
}

/// How far one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    Over,
    /// Nobody listens where this door leads.
    Refused(usize),
}

/// How far what one end says was carried.
enum Carried {
    /// There is more than one turn.
    More,
    /// As far as it went, or all.
    Now,
}

impl Streams {
    pub fn new(most: usize, room: usize) -> Self {
        Self { all: Vec::new(), free: Vec::new(), most, room, again: Vec::new() }
    }

    pub fn open(&self) -> usize {
        self.all.len() - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.open() >= self.most
    }

    /// Asks for what a socket that was accepted has asked for, in our network.
    pub fn begin(
        &mut self,
        near: OwnedFd,
        to: SocketAddr,
        door: usize,
        epoll: &OwnedFd,
        data: impl Fn(usize) -> EventData,
    ) -> io::Result<Fate> {
        let far = gates::socket(SocketType::STREAM, to).inspect_err(|_| reset(&near))?;
        if self.room == 0 {
            // What the workload would find out by itself: that another machine is gone.
            mind(&far)?;
        }
        match rustix::net::connect(&far, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            // What is known already comes as no event.
            Err(error) => {
                reset(&near);
                return Ok(if error == Errno::CONNREFUSED { Fate::Refused(door) } else { Fate::Over });
            }
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            self.all.len() - 1
        });
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let added = [&near, &far].into_iter().try_for_each(|fd| epoll::add(epoll, fd, data(index), flags));
        let end = |socket| End { socket, done: false };
        let stream = Stream { ends: [end(near), end(far)], connected: false, last: false, door };
        if let Some(place) = self.all.get_mut(index) {
            *place = Some(stream);
        }
        if let Err(error) = added {
            self.close(index, true);
            return Err(error.into());
        }
        Ok(Fate::Goes)
    }

    /// Carries on. `ending`: the room has ended, and what it had to say is all that counts.
    pub fn advance(&mut self, index: usize, flags: EventFlags, ending: bool, buffer: &mut [u8]) -> Fate {
        let room = self.room;
        let Some(Some(stream)) = self.all.get_mut(index) else { return Fate::Goes };
        stream.last |= flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if !stream.connected {
            match stream.connected() {
                Ok(true) => stream.connected = true,
                Ok(false) if !ending => return Fate::Goes,
                outcome => {
                    let (door, refused) = (stream.door, outcome == Err(Errno::CONNREFUSED));
                    self.close(index, true);
                    return if refused { Fate::Refused(door) } else { Fate::Over };
                }
            }
        }
        let out = stream.carry(room, buffer);
        let into = stream.carry(1 - room, buffer);
        // Who takes no more may have said something before.
        let out = if into.is_err() { stream.carry(room, buffer) } else { out };
        let done = [0, 1].map(|end| stream.ends[end].done);
        match (out, into) {
            (Err(_), _) | (_, Err(_)) => {
                self.close(index, true);
                Fate::Over
            }
            _ if done == [true; 2] || ending && done[room] => {
                self.close(index, false);
                Fate::Over
            }
            (Ok(Carried::Now), Ok(Carried::Now)) => Fate::Goes,
            _ => {
                self.again.push(index);
                Fate::Goes
            }
        }
    }

    /// Those that there are.
    pub fn indices(&self) -> Vec<usize> {
        let all = self.all.iter().enumerate();
        all.filter_map(|(index, stream)| stream.as_ref().map(|_| index)).collect()
    }

    fn close(&mut self, index: usize, harshly: bool) {
        if let Some(stream) = self.all.get_mut(index).and_then(Option::take) {
            if harshly {
                stream.ends.iter().for_each(|end| reset(&end.socket));
            }
            self.free.push(index);
        }
    }
}

impl Stream {
    /// Whether the one that was asked has answered.
    fn connected(&self) -> Result<bool, Errno> {
        let far = &self.ends[1].socket;
        sockopt::socket_error(far)??;
        match rustix::net::getpeername(far) {
            Ok(_) => Ok(true),
            Err(Errno::NOTCONN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says to the other what this end says.
    fn carry(&mut self, from: usize, buffer: &mut [u8]) -> Result<Carried, Errno> {
        if self.ends[from].done {
            return Ok(Carried::Now);
        }
        for _ in 0..TURNS {
            let (source, sink) = (&self.ends[from].socket, &self.ends[1 - from].socket);
            let looked = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let said = match rustix::net::recv(source, &mut *buffer, looked) {
                Ok((_, 0)) => {
                    // One that is gone needn't be told.
                    let _ = rustix::net::shutdown(sink, Shutdown::Write);
                    self.ends[from].done = true;
                    return Ok(Carried::Now);
                }
                Ok((_, said)) => said,
                Err(Errno::AGAIN) => return Ok(Carried::Now),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let taken = match rustix::net::send(sink, &buffer[..said], flags) {
                Ok(taken) => taken,
                Err(Errno::AGAIN) => return Ok(Carried::Now),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            take_out(source, taken)?;
            if taken == said && said < buffer.len() && !self.last {
                // What comes now comes with an event.
                return Ok(Carried::Now);
            }
        }
        Ok(Carried::More)
    }
}

/// Takes out what was looked at.
fn take_out(socket: &OwnedFd, count: usize) -> Result<(), Errno> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: TCP writes nothing with `MSG_TRUNC` (`tcp(7)`).
    let taken = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), count, flags) };
    if usize::try_from(taken) == Ok(count) { Ok(()) } else { Err(Errno::IO) }
}

/// Has the kernel see whether the other end is still there.
fn mind(socket: &OwnedFd) -> Result<(), Errno> {
    sockopt::set_tcp_keepidle(socket, SILENCE)?;
    sockopt::set_tcp_keepintvl(socket, SILENCE / 4)?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    sockopt::set_socket_keepalive(socket, true)
}

/// Ends it as if there had been nobody.
pub(super) fn reset(socket: &OwnedFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
