//! Repo: the content-addressed store of spores, `<dir>/<sha-256 of the file>.spore`.
//!
//! A file that has its name is whole and on disk: it is written without a name, synced, made read-only,
//! and only then linked into place. So a crash at any instant leaves a whole file or none, any number of
//! processes may put the same content at once, and readers need no lock. The repo does not know what is in
//! a spore, and decides nothing about trust: whoever runs one checks it while extracting it.

mod error;
pub mod exchange;
mod gc;
mod list;
mod put;
mod store;
mod temp;

pub use error::Error;
pub use list::Stored;
pub use store::Repo;

#[cfg(test)]
mod tests;
