//! Witness: who hears what the agent is at, so that one that never comes back is found out.

/// Told by one agent. Called often: it must not wait.
pub trait Witness: Send + Sync {
    /// Work begins that waits for nothing, so that it has to end soon.
    fn begins(&self);

    /// It has ended.
    fn ends(&self);

    /// All that the fabric showed at this version has been acted on, as far as it is for this node to do.
    fn caught_up(&self, version: u64);
}

/// Nobody.
impl Witness for () {
    fn begins(&self) {}

    fn ends(&self) {}

    fn caught_up(&self, _: u64) {}
}
