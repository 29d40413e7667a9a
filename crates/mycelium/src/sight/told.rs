//! From what the kernel says to what we say.

use std::time::Duration;

use membrane::Exit;
use membrane::bpf::{Protocol, Sighting, What};
use types::Timestamp;

use super::Watched;
use crate::api::{Trace, TraceWhat};

/// A sighting, of the replica whose group it was in.
pub(super) fn trace(watched: &Watched, seen: Sighting, now: Timestamp) -> Trace {
    let (pid, process) = seen.process.unzip();
    Trace { pid, process, ..of(watched, what(seen.what), before(now, seen.ago)) }
}

/// So much was not told.
pub(super) fn lost(watched: &Watched, count: u64, now: Timestamp) -> Trace {
    of(watched, TraceWhat::Lost { count }, now)
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(ago))
}

fn of(watched: &Watched, what: TraceWhat, at: Timestamp) -> Trace {
    let Watched { node, app, replica, .. } = watched.clone();
    Trace { at, node, app, replica, pid: None, process: None, what }
}

fn what(what: What) -> TraceWhat {
    let refused = |call: &str, protocol, address| TraceWhat::Refused {
        call: call.to_owned(),
        protocol: name(protocol),
        address: Some(address),
    };
    match what {
        What::Exec(program) => TraceWhat::Exec { program: program.map(|path| path.display().to_string()) },
        What::Exit(Some(Exit::Code(code))) => TraceWhat::Exit { code: Some(code), signal: None },
        What::Exit(Some(Exit::Signal(signal))) => TraceWhat::Exit { code: None, signal: Some(signal) },
        What::Exit(None) => TraceWhat::Exit { code: None, signal: None },
        What::Connect(protocol, address) => TraceWhat::Connect { protocol: name(protocol), address },
        What::RefusedConnect(protocol, address) => refused("connect", protocol, address),
        What::RefusedSend(protocol, address) => refused("send", protocol, address),
        What::RefusedBind(protocol, address) => refused("bind", protocol, address),
        What::DroppedIn(protocol, address) => refused("receive", protocol, address),
        What::DroppedOut(protocol, address) => refused("transmit", protocol, address),
        What::RefusedSocket(_, protocol) => {
            TraceWhat::Refused { call: "socket".to_owned(), protocol: protocol.to_string(), address: None }
        }
    }
}

fn name(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Other(number) => number.to_string(),
    }
}
