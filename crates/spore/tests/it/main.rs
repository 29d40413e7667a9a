//! Spore from outside: what is packed opens, and what lies is refused.

mod roundtrip;
mod support;
