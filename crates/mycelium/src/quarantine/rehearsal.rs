//! A planner that falls over, for tests: what a plan's environment asks for is done. Not in released binaries.

use fabric::View;

/// What a plan sets to have the planner fall over it.
const MARKER: &str = "MESH_TEST_HANDLER";

/// Panics, or never comes back, where a plan asks for it.
pub(crate) fn act_out(view: &View) {
    for entry in view.plans.values() {
        match entry.value.release.env.get(MARKER).map(String::as_str) {
            Some("panic") => panic!("a plan asks for a panic"),
            Some("hang") => loop {
                std::thread::park();
            },
            _ => {}
        }
    }
}
