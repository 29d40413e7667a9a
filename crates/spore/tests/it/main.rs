//! Spore from outside: what is packed opens, and what lies is refused.

mod examples;
mod roundtrip;
mod support;
