//! Policy: what operators say must hold before a spore sprouts (field term: admission policy), in Rego.
//!
//! A policy is code that somebody wrote, and its engine is a large piece of code that somebody else wrote: either may
//! go round for ever, eat all memory, overflow the stack or panic. So it never runs in this process. [`Evaluator`]
//! starts a short-lived one of the same binary, [`worker()`], that limits itself (CPU time, memory, no files) before
//! it reads a word, answers once on its standard output and ends; whatever else happens to it is an error here, and
//! whoever asked denies. Nothing here decides what is asked about, or what follows from the answer.

mod engine;
mod evaluator;
mod wire;
mod worker;

pub use evaluator::{Error, Evaluator};
pub use wire::{Module, Outcome, Tested};
pub use worker::worker;

/// The rule whose every value is a reason not to let a spore sprout.
pub const DENY: &str = "data.mesh.admission.deny";
/// The package that a policy adds its reasons to.
pub const PACKAGE: &str = "data.mesh.admission";

/// The most modules of one question.
pub const MAX_MODULES: usize = 256;
/// The most reasons that are told.
pub const MAX_REASONS: usize = 32;
/// The most bytes of one reason; longer ones are cut, and end in `…`.
pub const MAX_REASON_BYTES: usize = 4096;
