//! Agent: the reconciler of one node (what should run here, compared with what does, and acted on).
//!
//! Decisions are taken by [`Core`], a state machine without clock, socket or randomness. The shell around
//! it ([`Agent`]) pulls, verifies, extracts, probes and asks the keeper to launch, and reports back. Neither
//! places work: which slots this node runs is the planner's answer, the same on every node.

mod admission;
mod agent;
mod books;
mod collector;
mod core;
mod environment;
mod logs;
pub mod metric;
mod planner;
mod ports;
mod prepare;
mod probe;
mod profile;
mod retire;
mod sample;
mod settings;
mod shell;
mod witness;

pub use admission::{Admission, Anything, Candidate};
pub use agent::{Agent, AgentHandle, Arrivals, Born, BoxFuture, Config, Deps, StartError, Traffic};
pub use books::{Books, Deed};
pub use collector::Collector;
pub use core::{
    Action, Adopted, Adoption, Check, Core, Draft, Facts, Input, Launch, LaunchId, NotSpawned, Now,
    Observing, PlanNote, Probe, Timing, Unprepared, World,
};
pub use planner::{Alive, Decided, Planner};
pub use ports::Ports;
pub use profile::{Files, Profile, ProfileError, unit as profile_unit};
pub use retire::retire;
pub use sample::{Sample, Samples, Standing};
pub use witness::Witness;
