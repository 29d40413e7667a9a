//! The task behind a connection: sends requests, matches answers to them, passes events on.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{KeeperError, KeeperEvent};
use crate::reactor;
use crate::wire::frame::{Decoder, Frame};
use crate::wire::outbox::Outbox;
use crate::wire::{Event, Message, Request, transport};

/// What is read at a time.
const CHUNK: usize = 16 << 10;

/// The parts of an answer, and the descriptors beside them.
type Answer = Result<(Vec<Value>, Vec<OwnedFd>), KeeperError>;

/// One connection; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Driver {
    calls: mpsc::UnboundedSender<Call>,
    task: JoinHandle<()>,
    pid: AtomicU32,
}

#[derive(Debug)]
struct Call {
    call: String,
    args: Value,
    fds: Vec<OwnedFd>,
    answer: oneshot::Sender<Answer>,
}

impl Driver {
    /// Begins to drive `socket`, which must not block.
    pub fn start(socket: OwnedFd, events: mpsc::UnboundedSender<KeeperEvent>) -> Result<Self, KeeperError> {
        let socket = reactor::register(socket, Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| KeeperError::Broken { text: error.to_string() })?;
        let (calls, queue) = mpsc::unbounded_channel();
        let connection = Connection {
            socket,
            queue,
            events,
            inbox: Decoder::default(),
            outbox: Outbox::default(),
            waiting: BTreeMap::new(),
            next_id: 0,
        };
        // ends with the connection, or aborted when the last handle is dropped
        let task = tokio::spawn(connection.run());
        Ok(Self { calls, task, pid: AtomicU32::new(0) })
    }

    /// One call and its whole answer.
    pub async fn call_in(&self, call: &str, args: Value, fds: Vec<OwnedFd>, patience: Duration) -> Answer {
        let (answer, receiver) = oneshot::channel();
        let call = Call { call: call.to_owned(), args, fds, answer };
        self.calls.send(call).map_err(|_| KeeperError::Lost)?;
        match tokio::time::timeout(patience, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(KeeperError::Lost),
            Err(_) => Err(KeeperError::Silent),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    pub fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads an answer as what it should be.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, KeeperError> {
    serde_json::from_value(value).map_err(|error| KeeperError::Broken { text: error.to_string() })
}

struct Connection {
    socket: AsyncFd<OwnedFd>,
    queue: mpsc::UnboundedReceiver<Call>,
    events: mpsc::UnboundedSender<KeeperEvent>,
    inbox: Decoder,
    outbox: Outbox,
    waiting: BTreeMap<u64, Waiting>,
    next_id: u64,
}

struct Waiting {
    answer: oneshot::Sender<Answer>,
    parts: Vec<Value>,
    fds: Vec<OwnedFd>,
}

impl Connection {
    async fn run(mut self) {
        let mut buffer = vec![0; CHUNK];
        // whatever the error, the connection is of no use any more
        while let Ok(true) = self.step(&mut buffer).await {}
        // first those who wait, then the news
        self.waiting.clear();
        let _ = self.events.send(KeeperEvent::Lost);
    }

    /// Waits for one thing to do and does it; false at the end of the connection.
    async fn step(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        tokio::select! {
            call = self.queue.recv() => match call {
                Some(call) => self.ask(call)?,
                None => return Ok(false),
            },
            ready = self.socket.readable() => {
                match ready?.try_io(|socket| transport::receive(socket.as_fd(), buffer)) {
                    Ok(Ok((0, _))) => return Ok(false),
                    Ok(Ok((count, fds))) => self.take_in(&buffer[..count], fds)?,
                    Ok(Err(error)) => return Err(error),
                    Err(_would_block) => {}
                }
            }
            ready = self.socket.writable(), if !self.outbox.is_empty() => {
                let mut ready = ready?;
                if !self.outbox.flush(self.socket.as_fd())? {
                    ready.clear_ready();
                }
            }
        }
        Ok(true)
    }

    fn ask(&mut self, Call { call, args, fds, answer }: Call) -> io::Result<()> {
        let id = self.next_id;
        match self.outbox.push(&Request { id, call, args }, fds) {
            Ok(()) => {
                self.next_id += 1;
                self.waiting.insert(id, Waiting { answer, parts: Vec::new(), fds: Vec::new() });
                self.outbox.flush(self.socket.as_fd()).map(drop)
            }
            Err(error) => {
                // nobody may be waiting for it any more
                let _ = answer.send(Err(KeeperError::Refused { text: format!("ask the keeper: {error}") }));
                Ok(())
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> io::Result<()> {
        self.inbox.feed(bytes, fds).map_err(io::Error::other)?;
        while let Some(Frame { payload, fds }) = self.inbox.next().map_err(io::Error::other)? {
            self.hear(serde_json::from_slice(&payload)?, fds);
        }
        Ok(())
    }

    fn hear(&mut self, message: Message, fds: Vec<OwnedFd>) {
        if let Some(Event::Exited { id, exit, oom, cut }) = message.event {
            // nobody may be listening for events
            let _ = self.events.send(KeeperEvent::Exited { id, exit, oom, cut });
        }
        let Some(mut waiting) = message.re.and_then(|id| self.waiting.remove(&id)) else { return };
        waiting.parts.push(message.ok);
        waiting.fds.extend(fds);
        if let (true, Some(id)) = (message.more, message.re) {
            self.waiting.insert(id, waiting);
            return;
        }
        let answer = match message.error {
            Some(failure) => Err(failure.into()),
            None => Ok((waiting.parts, waiting.fds)),
        };
        // whoever asked may have given up
        let _ = waiting.answer.send(answer);
    }
}
