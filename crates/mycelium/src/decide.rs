//! From what holds to what should run: the view as the planner wants it.

use cortex::{Decision, World};
use fabric::View;

/// The decision that every node derives from this view.
pub(crate) fn decide(view: &View) -> Decision {
    let _ = view;
    todo!()
}
