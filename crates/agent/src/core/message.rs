//! What the core hears and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cortex::Assignment;
use genome::{Endpoint, Exit, Failure, Observed, Revision, Settings};
use serde::{Deserialize, Serialize};
use telemetry::EventKind;
use types::{AppName, Digest, Nutrients, ReplicaName, Timestamp, Workload};

/// The time of an input, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the agent started; never goes back. Deadlines are on this clock.
    pub mono: Duration,
    /// For records and events that people read.
    pub wall: Timestamp,
}

/// One launch of a replica: a replica keeps its name through restarts, and counts its launches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaunchId {
    /// The replica.
    pub replica: ReplicaName,
    /// Its launches so far, from 1.
    pub attempt: u32,
}

/// What is known of one launch; travels with the process as the keeper's note, so that an agent that
/// starts later knows what it adopts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Which launch of which replica.
    #[serde(flatten)]
    pub id: LaunchId,
    /// The app it is a replica of.
    pub app: AppName,
    /// The place in the app it fills.
    pub slot: u32,
    /// What exactly it runs.
    pub revision: Revision,
    /// The same for all versions of its secrets and configs; unknown of a process that an older agent launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Revision>,
    /// The spore.
    pub digest: Digest,
    /// The version the spore states; the plan's word until the spore is open.
    pub version: String,
    /// What kind of process it is.
    pub workload: Workload,
    /// The port the plan fixes, or 0.
    pub fixed_port: u16,
    /// The port it was given; 0 before it is spawned, and without a port.
    pub port: u16,
    /// How often this replica was started again.
    pub restarts: u32,
    /// Whether it may do whatever this node's user may.
    #[serde(default)]
    pub unconfined: bool,
    /// What it speaks, as the manifest says.
    pub provides: Vec<String>,
    /// How its health is asked; none for workers and jobs.
    pub check: Option<Check>,
    /// How long it may take to become ready, in milliseconds.
    pub health_ms: u64,
    /// How long open requests may go on when it leaves, and then its SIGTERM grace, in milliseconds each.
    pub grace_ms: u64,
    /// The versions of the secrets and configs it was given.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// What it is planned with; nothing in the note of an older agent.
    #[serde(default)]
    pub nutrients: Nutrients,
}

/// How the health of a replica is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// `GET path` over HTTP/1.1 answers 200.
    Http(String),
    /// The server answers an HTTP/2 preface with its own SETTINGS (RFC 9113 §3.4).
    H2c,
    /// A TCP connection is accepted.
    Tcp,
}

/// What the manifest adds to the plan once the spore is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version it states.
    pub version: String,
    /// Whether it may do whatever this node's user may.
    pub unconfined: bool,
    /// What it offers.
    pub provides: Vec<String>,
    /// How its health is asked.
    pub check: Option<Check>,
    /// How long it may take to become ready.
    pub health: Duration,
    /// The versions of the secrets and configs that are ready for it.
    pub settings: Settings,
}

/// Why a spore could not be made ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unprepared {
    /// It may not or can't run here; only another plan or other trust changes that.
    Refused(String),
    /// It isn't here: somebody fetches it, or has to publish it. Nobody's failure.
    Missing(String),
    /// It could not be had this time: damaged on the way, no space.
    Failed(String),
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSpawned {
    /// The program can't be executed: it speaks against the release.
    Program(String),
    /// The machine could not do it this time.
    Machine(String),
}

/// What should run here, as the planner derived it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// All slots of this node.
    pub assignments: Vec<Assignment>,
    /// Slots of which what serves here goes on as it is, and nothing is started: they are on their way elsewhere.
    pub stays: BTreeSet<(AppName, u32)>,
    /// All plans of the mesh.
    pub plans: BTreeMap<AppName, PlanNote>,
}

/// What the agent says about a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanNote {
    /// Which generation of the app's plan it is.
    pub generation: u64,
    /// The plan in one line, for people.
    pub summary: String,
    /// The release that slots run which wait for their turn, if some do.
    pub waiting: Option<Revision>,
    /// Why the release before it runs instead, if it does.
    pub fallback: Option<String>,
}

/// What was there before this agent: processes the keeper holds and records of this node.
#[derive(Debug, Clone, Default)]
pub struct Adoption {
    /// Every process of this node, running or ended and not yet forgotten.
    pub processes: Vec<Adopted>,
    /// This node's endpoint records.
    pub endpoints: Vec<Endpoint>,
    /// This node's own observations.
    pub observed: Vec<Observed>,
}

/// One process the keeper holds.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// What it was launched as.
    pub launch: Launch,
    /// Its process.
    pub pid: u32,
    /// How it ended, if it did.
    pub exit: Option<Exit>,
    /// Why the kernel ended it, if it did.
    pub cause: Option<String>,
    /// The last line it wrote, if it ended.
    pub last_line: String,
}

/// What the core hears.
#[derive(Debug, Clone)]
pub enum Input {
    /// What was there before; the first input, and again after the keeper was lost.
    Adopt(Box<Adoption>),
    /// What should run.
    World(World),
    /// The set of trusted publishers, or of secrets and configs, is another one.
    TrustChanged,
    /// A spore that may have been missing is in the repository.
    SporeArrived(Digest),
    /// A spore is checked, extracted and could be spawned.
    Prepared(LaunchId, Facts),
    /// It could not be prepared.
    Unprepared(LaunchId, Unprepared),
    /// A process runs.
    Spawned {
        /// Which launch.
        id: LaunchId,
        /// Its process.
        pid: u32,
        /// The port it was given, or 0.
        port: u16,
    },
    /// The process could not be started.
    NotSpawned(LaunchId, NotSpawned),
    /// A replica that runs reads newer secrets and configs, of these versions, and is of this revision by that; or why not.
    Renewed(LaunchId, Revision, Result<Settings, Unprepared>),
    /// The answer to a probe: passed, or why it failed (or did not pass in time).
    Probed(LaunchId, Result<(), String>),
    /// The edge has no open request on the replica since the drain of this number began.
    Drained {
        /// The replica.
        replica: ReplicaName,
        /// Which of its drains.
        drain: u32,
    },
    /// A process ended.
    Exited {
        /// Which launch.
        id: LaunchId,
        /// How, when the keeper knows.
        exit: Option<Exit>,
        /// Why, when it was the kernel who ended it: says more than the signal.
        cause: Option<String>,
        /// The last line it wrote, or nothing.
        last_line: String,
    },
    /// A deadline of [`Core::deadline`](crate::Core::deadline) has come.
    Tick,
    /// Everything here is to be drained and stopped; no way back.
    Shutdown,
}

/// Which question a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Ask again and again until it passes, at most for so long.
    Ready(Duration),
    /// Ask once.
    Live,
}

/// Whether an observation is made or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observing {
    /// A release could not be brought up here.
    Failed(Failure),
    /// What was observed holds no longer.
    Withdrawn,
}

/// One thing that happened here, before it has a number and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What.
    pub kind: EventKind,
    /// The app it is about.
    pub app: Option<AppName>,
    /// The replica it is about.
    pub replica: Option<ReplicaName>,
    /// For people.
    pub message: String,
}

/// What the core asks of the shell. Actions of one input are carried out in their order; what takes time
/// is started in its order, and reported by an input.
#[derive(Debug, Clone)]
pub enum Action {
    /// Get the spore, check trust and plan, extract it. Answered by `Prepared` or `Unprepared`.
    Prepare(LaunchId, Box<Assignment>),
    /// Start what was prepared. Answered by `Spawned` or `NotSpawned`.
    Spawn(Box<Launch>, Box<Assignment>),
    /// Give a process that runs the files of a newer release, and signal it. Answered by `Renewed`.
    Renew(Box<Launch>, Box<Assignment>),
    /// Ask a process for its health. Answered by `Probed`.
    Probe(Box<Launch>, u32, Probe),
    /// Tell when the edge has no open request on the replica. Answered by `Drained`.
    Drain(AppName, ReplicaName, u32),
    /// SIGTERM, and after the grace the end of the whole tree. Answered by `Exited`.
    Stop(LaunchId, Duration),
    /// End the whole tree at once. Answered by `Exited`.
    Kill(LaunchId),
    /// Forget the process, its folder and its port. Comes after every launch that was prepared, once.
    Clean(LaunchId),
    /// Publish an endpoint record.
    Register(Box<Endpoint>),
    /// Remove an endpoint record.
    Unregister(AppName, ReplicaName),
    /// Publish or withdraw an observation.
    Observe(AppName, Observing),
    /// Tell people.
    Emit(Draft),
}
