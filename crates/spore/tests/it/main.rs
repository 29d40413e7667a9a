//! Spore from outside: what is packed opens, and whatever lies is refused by name.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attest;
mod content_lies;
mod corpus;
mod examples;
mod forge;
mod manifest_lies;
mod pack;
mod properties;
mod roundtrip;
mod schema;
mod seal_lies;
mod size;
mod support;
mod tools;
mod zip_lies;
