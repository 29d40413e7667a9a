//! The whole product, through its binary: one file a command, and the acceptance tests of the specification.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod acceptance;
mod build;
mod command_line;
mod crash;
mod deploy;
mod doctor;
mod failing;
#[path = "../shared/groups.rs"]
mod groups;
mod inspect;
mod keys;
mod learning;
mod observe;
mod operate;
mod otlp;
mod policy;
mod profile;
mod publish;
mod reach;
mod reference;
mod release;
mod repo;
mod rotate;
mod run;
mod scaling;
mod secret;
mod service;
mod supply;
mod support;
mod takeover;
mod tls;
mod top;
mod trust;
mod up;
mod upgrade;
mod verify;
mod version;
