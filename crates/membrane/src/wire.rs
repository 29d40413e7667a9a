//! What the keeper and its clients say to each other: JSON messages in frames, descriptors beside them.
//!
//! A request is `{"id": 7, "call": "stop", "args": {…}}`, its answer `{"re": 7, "ok": …}` or
//! `{"re": 7, "error": {"kind": …, "text": …}}`; an answer in several parts has `"more": true` in
//! all but the last. What happens unasked is `{"event": {"kind": "exited", …}}`. Either side may be
//! the older one: unknown calls are answered with an error of kind `unsupported`, unknown fields
//! and unknown events are passed over.

pub(crate) mod frame;
pub(crate) mod outbox;
pub(crate) mod peer;
pub(crate) mod transport;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::Timestamp;

use crate::cgroup::{Budgets, Limits};
use crate::exit::{Exit, OutOfMemory};
use crate::log::LogLimits;
use crate::skin::Skin;

/// The name of the socket in the keeper's folder.
pub(crate) const SOCKET: &str = "sock";
/// What a keeper with its socket open writes to its standard output; anything else is an error text.
pub(crate) const READY: &str = "ready";

/// `spawn` with a skin. A call of its own, so that a keeper that knows of no skin refuses it instead of spawning without.
pub(crate) const CONFINE: &str = "enclose";

/// `spawn` with limits, and maybe a skin: likewise, a keeper that knows of no limits refuses it.
pub(crate) const LIMIT: &str = "limit";

/// `limit` with a reach: likewise. By whatever can keep it to that, which an older keeper knows but one kind of.
pub(crate) const REACH: &str = "keep-in-reach";
/// The same of older clients.
const REACH_BEFORE: &str = "reach";

/// What all workloads use whose ids begin so, at once.
pub(crate) const USAGES: &str = "usages";

/// One call of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub id: u64,
    pub call: String,
    #[serde(default)]
    pub args: Value,
}

/// Anything the keeper says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The request this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<u64>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub ok: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// Why a call was not done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    pub text: String,
}

/// The kinds of failure a client can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailureKind {
    /// The program could not be started.
    Launch,
    /// There is a process of that id already.
    Exists,
    /// There is no process of that id.
    Unknown,
    /// This keeper does not know the call.
    Unsupported,
    /// The arguments don't fit, or the keeper is in no state to do it.
    #[serde(other)]
    Refused,
}

/// What happened, unasked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A process ended, and its output is in its log.
    Exited {
        id: String,
        exit: Exit,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oom: Option<OutOfMemory>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    /// Something a newer keeper says.
    #[serde(other)]
    Other,
}

/// A call and its arguments, read.
#[derive(Debug)]
pub(crate) enum Call {
    Attach,
    Spawn(Box<SpawnArgs>),
    Stop(IdArgs),
    Kill(IdArgs),
    Forget(IdArgs),
    Usage(IdArgs),
    Usages(NameArgs),
    SetLimits(LimitsArgs),
    Renew(RenewArgs),
    KeepSockets(NameArgs),
    Sockets(NameArgs),
    Shutdown,
    Upgrade(UpgradeArgs),
    /// Something a newer client says.
    Other(String),
}

impl Call {
    /// Reads what a request asks; an error when the arguments don't fit the call.
    pub fn read(call: String, args: Value) -> serde_json::Result<Self> {
        Ok(match call.as_str() {
            "attach" => Self::Attach,
            "spawn" => Self::Spawn(Box::new(serde_json::from_value(args)?)),
            CONFINE => Self::Spawn(Box::new(confined(serde_json::from_value(args)?)?)),
            REACH | REACH_BEFORE => Self::Spawn(Box::new(reaching(serde_json::from_value(args)?)?)),
            LIMIT => Self::Spawn(Box::new(limited(serde_json::from_value(args)?)?)),
            "stop" => Self::Stop(serde_json::from_value(args)?),
            "kill" => Self::Kill(serde_json::from_value(args)?),
            "forget" => Self::Forget(serde_json::from_value(args)?),
            "usage" => Self::Usage(serde_json::from_value(args)?),
            USAGES => Self::Usages(serde_json::from_value(args)?),
            "set-limits" => Self::SetLimits(serde_json::from_value(args)?),
            "renew" => Self::Renew(serde_json::from_value(args)?),
            "keep-sockets" => Self::KeepSockets(serde_json::from_value(args)?),
            "sockets" => Self::Sockets(serde_json::from_value(args)?),
            "shutdown" => Self::Shutdown,
            "upgrade" => Self::Upgrade(serde_json::from_value(args)?),
            _ => Self::Other(call),
        })
    }
}

/// A call that limits the reach names it.
fn reaching(args: SpawnArgs) -> serde_json::Result<SpawnArgs> {
    if args.skin.as_ref().is_none_or(|skin| skin.reach.is_none()) {
        return Err(serde::de::Error::missing_field("reach"));
    }
    Ok(args)
}

/// A call to confine has a skin.
fn confined(args: SpawnArgs) -> serde_json::Result<SpawnArgs> {
    if args.skin.is_none() {
        return Err(serde::de::Error::missing_field("skin"));
    }
    Ok(args)
}

/// A call to limit has limits.
fn limited(args: SpawnArgs) -> serde_json::Result<SpawnArgs> {
    if args.budget.is_none() {
        return Err(serde::de::Error::missing_field("budget"));
    }
    Ok(args)
}

/// What the keeper says of itself when it is attached to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub pid: u32,
    pub processes: Vec<Process>,
    /// Of an older keeper nothing is known.
    #[serde(default)]
    pub budgets: Option<Budgets>,
    /// Where the groups of the v2 hierarchy lie.
    #[serde(default)]
    pub groups: Option<PathBuf>,
}

/// `spawn`: with one descriptor (the executable) when `by_descriptor`, else by the path in `program`; and one for each of `files`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpawnArgs {
    pub id: String,
    pub program: PathBuf,
    pub by_descriptor: bool,
    pub arg0: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub logs: PathBuf,
    pub note: String,
    pub limits: LogLimits,
    /// Of `confine` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skin: Option<Skin>,
    /// The names of the files that are given to it; their descriptors come behind the executable's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Of `limit` alone. (`limits` are those of the log.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Limits>,
}

/// `set-limits`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitsArgs {
    pub id: String,
    pub budget: Limits,
}

/// `renew`: with one descriptor for each of `files`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RenewArgs {
    pub id: String,
    pub files: Vec<String>,
    /// In place of that of `spawn`.
    pub note: String,
    pub signal: i32,
}

/// `stop`, `kill` (without grace), `forget`, `usage`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IdArgs {
    pub id: String,
    #[serde(default)]
    pub grace_ms: u64,
}

/// `keep-sockets` (with the descriptors; none removes the name), `sockets`, `usages` (with what ids begin with).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NameArgs {
    pub name: String,
}

/// `upgrade`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UpgradeArgs {
    pub program: PathBuf,
}

/// A process under the keeper, as `attach` and `spawn` report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The id it was spawned with.
    pub id: String,
    /// Its process id; that of an ended process may belong to another one by now.
    pub pid: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// What was said of it when it was spawned, word for word.
    pub note: String,
    /// How it ended, when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why the kernel ended it, when it did for lack of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<OutOfMemory>,
    /// Whether it was ended because the relay of its network had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// The relay of its network, while it has one: that is who listens at its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<u32>,
    /// Its group in the v2 hierarchy, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupAt>,
}

/// A group of the v2 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAt {
    /// The kernel's number for it, by which [`bpf::Watch`](crate::bpf::Watch) tells what happened in it.
    pub id: u64,
    /// Its folder.
    pub path: PathBuf,
}
