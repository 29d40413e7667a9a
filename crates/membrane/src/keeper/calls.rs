//! What clients may ask, and who does it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Answer;
use super::replica::{Key, Replica};
use super::server::Server;
use crate::cgroup::Used;
use crate::wire::frame::{Frame, MAX_FDS};
use crate::wire::{Attached, Call, Failure, FailureKind, Message, Process, Request};

/// How much of a list goes into one frame, far below a frame's limit.
const LIST_BYTES: usize = 256 << 10;
/// What one workload uses, as text without its id, at the most.
const USED_BYTES: usize = 512;
/// How many names the socket store holds.
const MAX_NAMES: usize = 256;

impl Server {
    /// Does what one frame asks. An error ends the connection: what came was no request.
    pub fn handle(&mut self, client: u32, frame: Frame) -> io::Result<()> {
        let Request { id, call, args } = serde_json::from_slice(&frame.payload)?;
        let answer = match Call::read(call, args) {
            Ok(Call::Attach) => {
                self.attach(client, id);
                return Ok(());
            }
            Ok(Call::Spawn(args)) => self.spawn(*args, frame.fds).map(value),
            Ok(Call::Stop(args)) => {
                let grace = Duration::from_millis(args.grace_ms);
                self.key(&args.id).map(|key| self.stop(key, grace)).map(done)
            }
            Ok(Call::Kill(args)) => self.key(&args.id).map(|key| self.kill(key)).map(done),
            Ok(Call::Forget(args)) => self.forget(&args.id).map(done),
            Ok(Call::Usage(args)) => self.usage(&args.id),
            Ok(Call::Usages(args)) => {
                self.usages(client, id, &args.name);
                return Ok(());
            }
            Ok(Call::SetLimits(args)) => self.set_limits(&args.id, args.budget).map(done),
            Ok(Call::Renew(args)) => self.renew(args, frame.fds).map(done),
            Ok(Call::KeepSockets(args)) => self.keep_sockets(args.name, frame.fds).map(done),
            Ok(Call::Sockets(args)) => self.sockets(&args.name),
            Ok(Call::Shutdown) => {
                self.leave(Some((client, id)), Duration::ZERO);
                return Ok(());
            }
            Ok(Call::Upgrade(args)) => {
                // it returns only when it failed
                let error = self.upgrade(&args.program, (client, id));
                Err(refused(format!("upgrade the keeper: {error}")))
            }
            Ok(Call::Other(call)) => {
                let text = format!("this keeper does not know the call {call:?}");
                Err(Failure { kind: FailureKind::Unsupported, text })
            }
            Err(error) => Err(refused(format!("understand the call: {error}"))),
        };
        self.answer(client, id, answer);
        Ok(())
    }

    /// The list of all there is, and from this moment on every event.
    fn attach(&mut self, client: u32, request: u64) {
        let size = |replica: &Replica| replica.id.len() + replica.note.len() + 128;
        let parts = in_parts(self.replicas.values().map(|replica| (size(replica), replica.report())));
        if let Some(client) = self.clients.get_mut(&client) {
            client.watching = true;
        }
        let attached = |processes: Vec<Process>| {
            let budgets = Some(self.cgroups.budgets().clone());
            let groups = self.cgroups.v2().map(ToOwned::to_owned);
            json!(Attached { pid: std::process::id(), processes, budgets, groups })
        };
        let parts = parts.into_iter().map(attached).collect();
        self.post_parts(client, request, parts);
    }

    /// What all workloads with limits use whose ids begin with `prefix`.
    fn usages(&mut self, client: u32, request: u64, prefix: &str) {
        let held = self.replicas.values().filter(|replica| replica.id.starts_with(prefix));
        let used = held.filter_map(|replica| Some((replica.id.len() + USED_BYTES, replica.used()?)));
        let parts = in_parts(used).into_iter().map(|part: Vec<Used>| json!(part)).collect();
        self.post_parts(client, request, parts);
    }

    /// An answer in several frames.
    fn post_parts(&mut self, client: u32, request: u64, parts: Vec<Value>) {
        let last = parts.len() - 1;
        for (number, ok) in parts.into_iter().enumerate() {
            let message = Message { re: Some(request), ok, more: number < last, ..Message::default() };
            self.post(client, &message, Vec::new());
        }
    }

    /// The exit has been taken note of.
    fn forget(&mut self, id: &str) -> Result<(), Failure> {
        let key = self.key(id)?;
        if self.replicas.get(&key).is_some_and(|replica| !replica.ended) {
            return Err(refused(format!("forget {id}: it has not ended")));
        }
        self.replicas.remove(&key);
        self.ids.remove(id);
        Ok(())
    }

    fn keep_sockets(&mut self, name: String, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        if fds.is_empty() {
            self.sockets.remove(&name);
        } else if self.sockets.len() >= MAX_NAMES && !self.sockets.contains_key(&name) {
            return Err(refused(format!("keep {name}: {MAX_NAMES} names are kept already")));
        } else {
            self.sockets.insert(name, fds);
        }
        Ok(())
    }

    fn sockets(&self, name: &str) -> Answer {
        let kept = self.sockets.get(name).into_iter().flatten().take(MAX_FDS);
        let copies = kept.map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>();
        let copies = copies.map_err(|error| refused(format!("hand out {name}: {error}")))?;
        Ok((Value::Bool(true), copies))
    }

    pub fn key(&self, id: &str) -> Result<Key, Failure> {
        let unknown = || Failure { kind: FailureKind::Unknown, text: format!("there is no {id}") };
        self.ids.get(id).copied().ok_or_else(unknown)
    }
}

/// A list as lists that each fit a frame, by about how many bytes each item takes; at least one.
fn in_parts<T>(items: impl Iterator<Item = (usize, T)>) -> Vec<Vec<T>> {
    let (mut parts, mut size) = (vec![Vec::new()], 0);
    for (bytes, item) in items {
        size += bytes;
        if size > LIST_BYTES {
            size = bytes;
            parts.push(Vec::new());
        }
        parts.last_mut().expect("there is always a part").push(item);
    }
    parts
}

fn done((): ()) -> (Value, Vec<OwnedFd>) {
    (Value::Bool(true), Vec::new())
}

fn value(process: Process) -> (Value, Vec<OwnedFd>) {
    (serde_json::to_value(process).unwrap_or_default(), Vec::new())
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}
