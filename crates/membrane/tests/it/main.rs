//! The keeper as a real process, and everything that can happen to it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod ahead;
mod budgets;
mod command;
mod corpus;
mod ends;
mod groups;
mod handover;
mod init;
mod logs;
mod many;
mod protocol;
mod reach;
mod relay;
mod room;
mod seeing;
mod skin;
mod spawning;
mod support;
