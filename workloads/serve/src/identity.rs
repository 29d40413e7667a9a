//! Identity: what the mesh told this replica about itself.

use std::env;
use std::fmt;

/// The replica this process is, from `MESH_APP`, `MESH_VERSION`, `MESH_REPLICA` and `MESH_NODE`.
#[derive(Debug, Clone)]
pub struct Identity {
    app: String,
    version: String,
    replica: String,
    node: String,
}

impl Identity {
    /// Reads the environment; outside a mesh it is `app`, alone on this machine.
    #[must_use]
    pub fn from_env(app: &str) -> Self {
        Self {
            app: var("MESH_APP", app),
            version: var("MESH_VERSION", "unversioned"),
            replica: var("MESH_REPLICA", "alone"),
            node: var("MESH_NODE", "this machine"),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, replica {} on {}", self.app, self.version, self.replica, self.node)
    }
}

/// An environment variable; unset and empty are the same.
fn var(name: &str, otherwise: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}
