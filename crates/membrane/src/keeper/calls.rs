//! What clients may ask, and who does it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Answer;
use super::replica::Key;
use super::server::Server;
use crate::wire::frame::{Frame, MAX_FDS};
use crate::wire::{
    Failure, FailureKind, IdArgs, Message, NameArgs, Process, Request, SpawnArgs, UpgradeArgs,
};

/// How much of a list goes into one frame, far below a frame's limit.
const LIST_BYTES: usize = 256 << 10;
/// How many names the socket store holds.
const MAX_NAMES: usize = 256;

impl Server {
    /// Does what one frame asks. An error ends the connection: what came was no request.
    pub fn handle(&mut self, client: u32, frame: Frame) -> io::Result<()> {
        let Request { id, call, args } = serde_json::from_slice(&frame.payload)?;
        let answer = match call.as_str() {
            "attach" => {
                self.attach(client, id);
                return Ok(());
            }
            "spawn" => parse(args).and_then(|args: SpawnArgs| self.spawn(args, frame.fds)).map(value),
            "stop" => self.with_replica(args, |server, key, args| {
                server.stop(key, Duration::from_millis(args.grace_ms));
                Ok(())
            }),
            "kill" => self.with_replica(args, |server, key, _| {
                server.kill(key);
                Ok(())
            }),
            "forget" => self.with_replica(args, Self::forget),
            "keep-sockets" => self.keep_sockets(args, frame.fds),
            "sockets" => self.sockets(args),
            "shutdown" => {
                self.leave(Some((client, id)), Duration::ZERO);
                return Ok(());
            }
            "upgrade" => {
                let result = parse(args).map(|args: UpgradeArgs| self.upgrade(&args.program, (client, id)));
                // it returns only when it failed
                result.and_then(|error| Err(refused(format!("upgrade the keeper: {error}"))))
            }
            other => {
                let text = format!("this keeper does not know the call {other:?}");
                Err(Failure { kind: FailureKind::Unsupported, text })
            }
        };
        self.answer(client, id, answer);
        Ok(())
    }

    /// The list of all there is, and from this moment on every event.
    fn attach(&mut self, client: u32, request: u64) {
        let mut parts: Vec<Vec<Process>> = vec![Vec::new()];
        let mut size = 0;
        for replica in self.replicas.values() {
            size += replica.id.len() + replica.note.len() + 128;
            if size > LIST_BYTES {
                size = 0;
                parts.push(Vec::new());
            }
            parts.last_mut().expect("there is always a part").push(replica.report());
        }
        if let Some(client) = self.clients.get_mut(&client) {
            client.watching = true;
        }
        let last = parts.len() - 1;
        for (number, part) in parts.into_iter().enumerate() {
            let ok = json!({ "pid": std::process::id(), "processes": part });
            let message = Message { re: Some(request), ok, more: number < last, ..Message::default() };
            self.post(client, &message, Vec::new());
        }
    }

    /// The exit has been taken note of.
    fn forget(&mut self, key: Key, args: &IdArgs) -> Result<(), Failure> {
        if self.replicas.get(&key).is_some_and(|replica| !replica.ended) {
            return Err(refused(format!("forget {}: it has not ended", args.id)));
        }
        self.replicas.remove(&key);
        self.ids.remove(&args.id);
        Ok(())
    }

    fn keep_sockets(&mut self, args: Value, fds: Vec<OwnedFd>) -> Answer {
        let NameArgs { name } = parse(args)?;
        if fds.is_empty() {
            self.sockets.remove(&name);
        } else if self.sockets.len() >= MAX_NAMES && !self.sockets.contains_key(&name) {
            return Err(refused(format!("keep {name}: {MAX_NAMES} names are kept already")));
        } else {
            self.sockets.insert(name, fds);
        }
        Ok((Value::Bool(true), Vec::new()))
    }

    fn sockets(&mut self, args: Value) -> Answer {
        let NameArgs { name } = parse(args)?;
        let kept = self.sockets.get(&name).into_iter().flatten().take(MAX_FDS);
        let copies = kept.map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>();
        let copies = copies.map_err(|error| refused(format!("hand out {name}: {error}")))?;
        Ok((Value::Bool(true), copies))
    }

    fn with_replica(
        &mut self,
        args: Value,
        act: impl FnOnce(&mut Self, Key, &IdArgs) -> Result<(), Failure>,
    ) -> Answer {
        let args: IdArgs = parse(args)?;
        let Some(key) = self.ids.get(&args.id).copied() else {
            let text = format!("there is no {}", args.id);
            return Err(Failure { kind: FailureKind::Unknown, text });
        };
        act(self, key, &args)?;
        Ok((Value::Bool(true), Vec::new()))
    }
}

fn parse<T: DeserializeOwned>(args: Value) -> Result<T, Failure> {
    serde_json::from_value(args).map_err(|error| refused(format!("understand the call: {error}")))
}

fn value(process: Process) -> (Value, Vec<OwnedFd>) {
    (serde_json::to_value(process).unwrap_or_default(), Vec::new())
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}
