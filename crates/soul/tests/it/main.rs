//! Soul as its users see it: folders of keys, the trust store, and a mesh that grows, on a real disk.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly, and say why it skips")]

mod admission;
mod corpus;
mod keys;
mod killed;
mod openssl;
mod trust;
