//! Soul as its users see it: folders of keys and the trust store, on a real disk.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly, and say why it skips")]

mod corpus;
mod keys;
mod openssl;
mod trust;
