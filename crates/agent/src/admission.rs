//! Admission: what operators' rules say to a spore before it sprouts. Asked here, answered by whoever composes the node.

use genome::Node;
use spore::Manifest;
use spore::attest::Attestations;
use types::{AppName, Digest, PublicKey};

/// What is asked about: a spore whose publisher is trusted, and that says nothing false of itself.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The app that it is to be a replica of.
    pub app: &'a AppName,
    /// The SHA-256 of the spore.
    pub digest: &'a Digest,
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// What it carries about itself.
    pub attestations: &'a Attestations,
    /// The node that it is to run on.
    pub node: &'a Node,
}

/// What answers, from what operators said. Called on a thread that may block.
pub trait Admission: Send + Sync {
    /// Every reason against it, in the words of the rules; none, if it may sprout. An error is a no as well.
    fn reasons(&self, candidate: &Candidate) -> Result<Vec<String>, String>;

    /// Whether somebody who may vouch for publishers vouches for this key, with a Sigstore bundle over it; why not.
    fn vouched(&self, publisher: &PublicKey, bundle: &[u8]) -> Result<(), String>;
}

/// Where there are no rules, everything may sprout.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anything;

impl Admission for Anything {
    fn reasons(&self, _: &Candidate) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn vouched(&self, _: &PublicKey, _: &[u8]) -> Result<(), String> {
        Err("nobody here may vouch for publishers".to_owned())
    }
}
