//! What a person is told of errors that no command line can bring about.

use super::explain;
use crate::exit::Code;

#[test]
fn a_mesh_that_could_not_go_on_has_failed() {
    let node = types::NodeName::new("node-2").unwrap();
    let failure = explain(&mycelium::RunError::AgentEnded(node));
    assert_eq!(failure.code, Code::Failure);
    assert_eq!(failure.error, "failed to keep the agent of node-2 running: it ended by itself");
}
