//! The clients' connections: accepting them, reading frames, writing answers and events.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::net::SocketFlags;
use serde_json::Value;

use super::detach;
use super::server::{Server, Source};
use crate::wire::frame::Decoder;
use crate::wire::outbox::Outbox;
use crate::wire::{Failure, Message, peer, transport};

/// More clients at once are turned away. Every node of a machine is one, and there may be 1000, twice over while one
/// mesh takes over from another.
const MAX_CLIENTS: usize = 4096;
/// A client that lets this much wait for it is given up: it will come back and ask for the state.
const MAX_BACKLOG: usize = 32 << 20;
/// How long no connection is accepted after descriptors ran out.
const DEAF: Duration = Duration::from_secs(1);

/// What is answered at once: a value, and descriptors beside it.
pub(super) type Answer = Result<(Value, Vec<OwnedFd>), Failure>;

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub socket: OwnedFd,
    pub inbox: Decoder,
    pub outbox: Outbox,
    /// Whether it wants events.
    pub watching: bool,
}

impl Server {
    /// Accepts whoever waits.
    pub fn accept(&mut self) {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&self.listener, flags) {
                Ok(socket) => {
                    if let Err(error) = self.admit(socket) {
                        detach::say(&format!("a client was turned away: {error}"));
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(error) => {
                    detach::say(&format!("no client can be accepted for now: {error}"));
                    let _ = epoll::delete(&self.epoll, &self.listener);
                    self.deaf_until = Some(Instant::now() + DEAF);
                    return;
                }
            }
        }
    }

    /// Listens again after descriptors had run out.
    pub fn listen_again(&mut self, now: Instant) {
        if self.deaf_until.is_some_and(|until| until <= now) {
            self.deaf_until = None;
            let data = Source::Listener.data();
            if epoll::add(&self.epoll, &self.listener, data, EventFlags::IN).is_err() {
                self.deaf_until = Some(now + DEAF);
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd) -> io::Result<()> {
        peer::check(socket.as_fd())?;
        if self.clients.len() >= MAX_CLIENTS {
            return Err(io::Error::other(format!("{MAX_CLIENTS} are connected already")));
        }
        let client = Client { socket, inbox: Decoder::default(), outbox: Outbox::default(), watching: false };
        self.adopt(client)
    }

    /// Takes a connection in.
    pub fn adopt(&mut self, client: Client) -> io::Result<()> {
        let number = self.next_client;
        epoll::add(&self.epoll, &client.socket, Source::Client(number).data(), EventFlags::IN)?;
        self.next_client = self.next_client.wrapping_add(1);
        self.clients.insert(number, client);
        self.send(number);
        Ok(())
    }

    /// Something happened on a connection.
    pub fn serve(&mut self, number: u32) {
        self.send(number);
        let Some(client) = self.clients.get_mut(&number) else { return };
        let result = match transport::receive(client.socket.as_fd(), &mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Ok((0, _)) => {
                self.clients.remove(&number);
                return;
            }
            Ok((count, fds)) => client.inbox.feed(&self.buffer[..count], fds).map_err(io::Error::other),
            Err(error) => Err(error),
        };
        if let Err(error) = result.and_then(|()| self.take_frames(number)) {
            detach::say(&format!("a client is dropped: {error}"));
            self.clients.remove(&number);
        }
    }

    /// Does what the frames that are whole ask.
    pub fn take_frames(&mut self, number: u32) -> io::Result<()> {
        while let Some(client) = self.clients.get_mut(&number) {
            let Some(frame) = client.inbox.next().map_err(io::Error::other)? else { return Ok(()) };
            self.handle(number, frame)?;
        }
        Ok(())
    }

    /// Answers one request.
    pub fn answer(&mut self, number: u32, request: u64, answer: Answer) {
        let (message, fds) = match answer {
            Ok((ok, fds)) => (Message { re: Some(request), ok, ..Message::default() }, fds),
            Err(error) => {
                (Message { re: Some(request), error: Some(error), ..Message::default() }, Vec::new())
            }
        };
        self.post(number, &message, fds);
    }

    /// Tells everyone who wants to know.
    pub fn announce(&mut self, message: &Message) {
        let watching: Vec<u32> = self.clients.iter().filter(|(_, c)| c.watching).map(|(n, _)| *n).collect();
        for number in watching {
            self.post(number, message, Vec::new());
        }
    }

    /// Queues a message and sends what can be sent.
    pub fn post(&mut self, number: u32, message: &Message, fds: Vec<OwnedFd>) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        if client.outbox.push(message, fds).is_err() || client.outbox.len() > MAX_BACKLOG {
            detach::say("a client is dropped: it does not read, or the answer is too long");
            self.clients.remove(&number);
            return;
        }
        self.send(number);
    }

    fn send(&mut self, number: u32) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let waited = !client.outbox.is_empty();
        if client.outbox.flush(client.socket.as_fd()).is_err() {
            self.clients.remove(&number);
            return;
        }
        let waits = !client.outbox.is_empty();
        if waits || waited {
            let interest = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let _ = epoll::modify(&self.epoll, &client.socket, Source::Client(number).data(), interest);
        }
    }
}
