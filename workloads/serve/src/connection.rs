//! Connection: one client's bytes, driven as far as they go whenever the kernel says that something changed.
//!
//! Edge-triggered: after an event, [`Connection::drive`] goes on until the socket would block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::message::{self, Refused};
use crate::{Reply, Request, Response};

/// What a request's head normally needs.
const USUAL_HEAD: usize = 2 * 1024;
/// The most bytes of a head.
const MAX_HEAD: usize = 16 * 1024;

/// What [`Connection::drive`] came to.
pub(crate) enum Progress {
    /// Nothing to do until the next event.
    Waiting,
    /// Something has to run elsewhere; [`Connection::complete`] brings its answer.
    Deferred(Box<dyn FnOnce() -> Response + Send>),
    /// The connection is over.
    Over,
}

/// One client.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    sent: usize,
    /// Bytes of a request's body that are still to be skipped.
    skip: u64,
    readable: bool,
    hung_up: bool,
    /// The request that is being answered: whether without body, and whether the connection is closed after it.
    deferred: Option<(bool, bool)>,
    closing: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: vec![0; USUAL_HEAD],
            filled: 0,
            output: Vec::new(),
            sent: 0,
            skip: 0,
            readable: true,
            hung_up: false,
            deferred: None,
            closing: false,
        }
    }

    /// Takes note of what the kernel reported.
    pub(crate) fn notice(&mut self, readable: bool, hung_up: bool) {
        self.readable |= readable || hung_up;
        self.hung_up |= hung_up;
    }

    /// Whether it holds no request in any stage.
    pub(crate) fn is_idle(&self) -> bool {
        self.filled == 0 && self.output.is_empty() && self.skip == 0 && self.deferred.is_none()
    }

    /// The answer of a [`Progress::Deferred`].
    pub(crate) fn complete(&mut self, response: &Response) {
        if let Some((head_only, close)) = self.deferred.take() {
            response.write(&mut self.output, head_only, close);
            self.closing = close;
        }
    }

    /// Goes on until the socket would block; every answer says `connection: close` once the server is `stopping`.
    pub(crate) fn drive(&mut self, handler: &impl Fn(&Request<'_>) -> Reply, stopping: bool) -> Progress {
        self.step(handler, stopping).unwrap_or(Progress::Over)
    }

    fn step(&mut self, handler: &impl Fn(&Request<'_>) -> Reply, stopping: bool) -> io::Result<Progress> {
        loop {
            if self.deferred.is_none() && !self.closing {
                self.skip_body();
                if self.filled > 0
                    && self.skip == 0
                    && let Some(progress) = self.answer(handler, stopping)
                {
                    // what was answered before it needn't wait for it
                    self.flush()?;
                    return Ok(progress);
                }
            }
            if !self.flush()? {
                return Ok(Progress::Waiting);
            }
            if self.closing {
                self.part();
                return Ok(Progress::Over);
            }
            if self.deferred.is_some() || !self.readable {
                return Ok(Progress::Waiting);
            }
            if !self.fill()? {
                return Ok(Progress::Over);
            }
        }
    }

    /// Answers every whole request in the input; `Some` when one of them is to be answered elsewhere.
    fn answer(&mut self, handler: &impl Fn(&Request<'_>) -> Reply, stopping: bool) -> Option<Progress> {
        while self.filled > 0 && self.skip == 0 && !self.closing {
            let (framing, reply) = match message::parse(&self.input[..self.filled], handler) {
                Ok(Some(parsed)) => parsed,
                Ok(None) if self.filled < MAX_HEAD => return None,
                Ok(None) => {
                    self.refuse(&Refused(431));
                    return None;
                }
                Err(refused) => {
                    self.refuse(&refused);
                    return None;
                }
            };
            self.consume(framing.head);
            self.skip = framing.body;
            self.skip_body();
            let close = framing.close || stopping;
            self.deferred = Some((framing.head_only, close));
            match reply {
                Reply::Now(response) => self.complete(&response),
                Reply::Later(job) => return Some(Progress::Deferred(job)),
            }
        }
        None
    }

    fn refuse(&mut self, Refused(status): &Refused) {
        Response::new(*status, "").write(&mut self.output, false, true);
        self.closing = true;
    }

    /// Takes what is there of a body nobody wants: closing over unread bytes would reset the answer away.
    fn part(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        while matches!(self.stream.read(&mut self.input), Ok(bytes) if bytes > 0) {}
    }

    fn skip_body(&mut self) {
        let skipped = self.filled.min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.consume(skipped);
        self.skip -= skipped as u64;
    }

    fn consume(&mut self, bytes: usize) {
        self.input.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.filled == self.input.len() {
            self.input.resize((self.filled * 2).min(MAX_HEAD), 0);
        }
        let room = self.input.len() - self.filled;
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(bytes) => {
                self.filled += bytes;
                // a short read has emptied the socket, unless the end of the stream is still to be read
                self.readable = bytes == room || self.hung_up;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Writes what is there to be written; false while the client doesn't take it.
    fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(true)
    }
}
