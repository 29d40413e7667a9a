//! Meshes elsewhere, by name: which nodes to ask, and with which key. Kept in `contexts.json` of the config folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mycelium::Paths;
use mycelium::client::Remote;
use serde::{Deserialize, Serialize};
use types::{MeshId, PublicKey};

use crate::failure::Failure;
use crate::operator;

/// One mesh elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Its identity, part of every signature.
    pub mesh: MeshId,
    /// Nodes to ask, the first that answers.
    pub nodes: Vec<Node>,
    /// The name or file of the key that the mesh knows this operator by.
    pub operator: String,
}

/// A node of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its key: nobody else is spoken to.
    pub key: PublicKey,
    /// Where it is.
    pub addresses: Vec<SocketAddr>,
}

impl Elsewhere {
    /// How to speak to it.
    pub fn remote(&self, paths: &Paths) -> Result<Remote, Failure> {
        let key = Arc::new(operator::load(paths, &self.operator)?);
        let nodes = self.nodes.iter().map(|node| (node.key, node.addresses.clone())).collect();
        Ok(Remote { key, nodes })
    }
}

impl std::str::FromStr for Node {
    type Err = String;

    /// `KEY@ADDRESS[,ADDRESS…]`, as `mesh net peers` prints it of the node itself.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, addresses) = text.split_once('@').ok_or("a node is written KEY@ADDRESS:PORT")?;
        let key = soul::public_key_from_text(key).map_err(|e| e.to_string())?;
        let parse = |address: &str| address.parse().map_err(|e| format!("{address:?}: {e}"));
        Ok(Self { key, addresses: addresses.split(',').map(parse).collect::<Result<_, String>>()? })
    }
}

/// The mesh of that name.
pub fn find(paths: &Paths, name: &str) -> Result<Elsewhere, Failure> {
    let all = load(paths)?;
    all.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is".to_owned() } else { known.join(", ") };
        Failure::usage(format_args!("no mesh elsewhere is called {name:?}"))
            .hint(format_args!("known here: {known}; `mesh context add` adds one"))
    })
}

/// All of them.
pub fn load(paths: &Paths) -> Result<BTreeMap<String, Elsewhere>, Failure> {
    let path = file(paths);
    let failed = |what: &str| Failure::new(format_args!("failed to read {}: {what}", path.display()));
    match std::fs::read(&path) {
        Ok(bytes) => types::json::from_slice(&bytes).map_err(|e| failed(&e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => Err(failed(&e.to_string())),
    }
}

/// Keeps all of them.
pub fn keep(paths: &Paths, all: &BTreeMap<String, Elsewhere>) -> Result<(), Failure> {
    paths.claim()?;
    let path = file(paths);
    mycelium::identity::keep(&path, all)
        .map_err(|e| Failure::new(format_args!("failed to write {}: {e}", path.display())))
}

fn file(paths: &Paths) -> PathBuf {
    paths.config.join("contexts.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_key_and_where_it_is() {
        let key = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
        let node: Node = format!("{key}@10.0.0.1:7433,[fd00::1]:7433").parse().unwrap();
        assert_eq!(node.key.to_string(), key);
        assert_eq!(node.addresses.len(), 2);
        for bad in ["", "10.0.0.1:7433", &format!("{key}@"), &format!("{key}@10.0.0.1"), "x@10.0.0.1:7433"] {
            assert!(bad.parse::<Node>().is_err(), "{bad}");
        }
    }
}
