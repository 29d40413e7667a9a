//! Membrane: process supervision and the starting of workloads.
//!
//! Two sides. The *keeper* ([`keeper_main`]) is a small process that is the parent of all workloads of a
//! node and outlives everything else: a crash, a kill or an upgrade of `mesh` loses no workload, no exit
//! status and no line of log. The *client* ([`Keeper`]) finds it or starts it and asks it for things over a
//! Unix socket. Between them: the logs, which anyone may read ([`tail`], [`Follow`]).
//!
//! This is the one crate that starts workloads, and the one where `unsafe` may stand: in the child between
//! clone and execve, for signals, and for descriptors inherited by number. It decides nothing about what
//! runs where, or when it is started again.
//!
//! Whoever runs `mesh` under a supervisor of its own must let the keeper live when `mesh` ends (systemd:
//! `KillMode=process`).

pub mod bpf;
mod cgroup;
mod client;
mod clone;
mod exec;
mod exit;
mod facts;
#[doc(hidden)]
pub mod fuzzing;
mod glance;
mod home;
mod keeper;
mod launch;
mod log;
mod marker;
mod procfs;
mod reactor;
mod relay;
mod signals;
mod skin;
mod strays;
mod tree;
mod wire;

pub use cgroup::{Budgets, Hold, Limits, Usage, Used, Version};
pub use client::{Events, Keeper, KeeperConfig, KeeperError, KeeperEvent, Program, Spawn};
pub use exec::exec_in;
pub use exit::{Exit, OutOfMemory};
pub use facts::Facts;
pub use glance::{Glanced, glance};
pub use keeper::keeper_main;
pub use log::{Follow, Followed, LogLimits, LogLine, LogStream, tail};
pub use skin::{Bound, By, Layers, Skin, allowed_calls};
pub use strays::reap_strays;
pub use wire::{GroupAt, Process};
