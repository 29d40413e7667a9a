//! Refusals as events: each kind of one replica once in a while, and only so many kinds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use telemetry::{Event, EventKind};
use types::{ReplicaName, Timestamp};

use crate::api::{Trace, TraceWhat};

/// For how long what was said of a replica is not said again.
const SAID: Duration = Duration::from_secs(600);
/// How many kinds of one replica are said in that time; with the last it is said that there are more.
const KINDS: usize = 8;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<ReplicaName, Said>);

#[derive(Debug)]
struct Said {
    since: Timestamp,
    kinds: Vec<(String, String, Option<SocketAddr>)>,
}

impl Refusals {
    /// The event that a trace is worth, if any.
    pub(super) fn event(&mut self, trace: &Trace) -> Option<Event> {
        let TraceWhat::Refused { call, protocol, address } = &trace.what else { return None };
        let said = self.0.entry(trace.replica.clone());
        let said = said.or_insert_with(|| Said { since: trace.at, kinds: Vec::new() });
        let kind = (call.clone(), protocol.clone(), *address);
        if said.kinds.len() == KINDS || said.kinds.contains(&kind) {
            return None;
        }
        said.kinds.push(kind);
        let who = trace.process.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        let what = match (call.as_str(), address) {
            ("connect", Some(address)) => format!("a connection to {address} ({protocol})"),
            ("send", Some(address)) => format!("a datagram to {address} ({protocol})"),
            ("bind", Some(address)) => format!("to listen at port {} ({protocol})", address.port()),
            ("receive", Some(address)) => format!("a packet of {address} ({protocol})"),
            (_, Some(address)) => format!("a packet to {address} ({protocol})"),
            (_, None) => format!("a socket of protocol {protocol}"),
        };
        let more = if said.kinds.len() == KINDS { "; there may be more: `mesh trace` shows all" } else { "" };
        Some(Event {
            seq: 0,
            at: trace.at,
            kind: EventKind::ReachRefused,
            node: Some(trace.node.clone()),
            app: Some(trace.app.clone()),
            replica: Some(trace.replica.clone()),
            message: format!("{who}was refused {what}: neither its port nor listed in its reach{more}"),
        })
    }

    /// Lets what was said long ago be said again.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, said| now.since(said.since) < SAID);
    }
}
