//! Client: one keep-alive connection with at most one request on its way.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use memchr::memmem;

use super::{Failure, Target};
use super::{response, stamp};

/// Longer than any answer that is asked for here.
const BUFFER: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What reading from a client came to.
pub enum Outcome {
    /// The answer isn't all there yet.
    Waiting,
    /// The right answer, and whether the connection stays.
    Answered {
        /// The connection can take the next request.
        stays: bool,
    },
    /// The request failed, and the connection with it.
    Failed(Failure),
    /// The server closed a connection on which nothing was asked: its good right.
    ClosedIdle,
}

/// One connection.
pub struct Client {
    stream: Option<TcpStream>,
    input: Vec<u8>,
    filled: usize,
    /// Since when, in nanoseconds of the run, the request on its way counts.
    pub asked_at: Option<u64>,
    /// When it should have been.
    pub due_at: u64,
    /// How long before it was read the kernel had what was read last, where it says so.
    pub waited: Duration,
}

impl Client {
    /// Not connected yet.
    pub fn new() -> Self {
        Self {
            stream: None,
            input: vec![0; BUFFER],
            filled: 0,
            asked_at: None,
            due_at: 0,
            waited: Duration::ZERO,
        }
    }

    /// The connection, when there is one.
    pub fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    /// Connects anew.
    pub fn connect(&mut self, target: &Target, stamped: bool) -> Result<&TcpStream, Failure> {
        self.filled = 0;
        let stream =
            TcpStream::connect_timeout(&target.address, CONNECT_TIMEOUT).map_err(|_| Failure::Connect)?;
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true));
        let ready = ready.and_then(|()| if stamped { stamp::ask(&stream) } else { Ok(()) });
        ready.map_err(|_| Failure::Connect)?;
        Ok(self.stream.insert(stream))
    }

    /// Drops the connection.
    pub fn disconnect(&mut self) {
        self.stream = None;
        self.asked_at = None;
    }

    /// Sends the request.
    pub fn ask(&mut self, target: &Target, at: u64) -> Result<(), Failure> {
        self.asked_at = Some(at);
        let sent = self.stream.as_mut().map(|stream| stream.write(&target.request));
        match sent {
            Some(Ok(bytes)) if bytes == target.request.len() => Ok(()),
            // a hundred bytes always fit into the buffer of an idle connection
            _ => Err(Failure::Send),
        }
    }

    /// Takes what has come.
    pub fn read(&mut self, target: &Target) -> Outcome {
        let Some(stream) = self.stream.as_mut() else { return Outcome::Waiting };
        match stamp::read(stream, &mut self.input[self.filled..]) {
            Ok((0, _)) => self.ended(Failure::Closed),
            Ok((bytes, waited)) => {
                self.filled += bytes;
                self.waited = waited;
                self.check(target)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Outcome::Waiting
            }
            Err(error) => self.ended(kind(&error)),
        }
    }

    fn ended(&self, failure: Failure) -> Outcome {
        match (self.asked_at, self.filled) {
            (None, _) => Outcome::ClosedIdle,
            (Some(_), 0) => Outcome::Failed(failure),
            (Some(_), _) => Outcome::Failed(Failure::Cut),
        }
    }

    fn check(&mut self, target: &Target) -> Outcome {
        let bytes = &self.input[..self.filled];
        match response::parse(bytes) {
            Ok(None) if self.filled < BUFFER => Outcome::Waiting,
            Ok(Some(answer)) if self.asked_at.is_some() && answer.bytes == self.filled => {
                self.filled = 0;
                if answer.status != 200 {
                    Outcome::Failed(Failure::Status(answer.status))
                } else if memmem::find(&self.input[..answer.bytes], target.expected.as_bytes()).is_none() {
                    Outcome::Failed(Failure::Wrong)
                } else {
                    Outcome::Answered { stays: !answer.close }
                }
            }
            // more than was asked for, or no HTTP
            _ => Outcome::Failed(Failure::Garbled),
        }
    }
}

fn kind(error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::ConnectionReset { Failure::Reset } else { Failure::Closed }
}
