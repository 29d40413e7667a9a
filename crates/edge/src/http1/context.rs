//! The fields of a request that say where in a trace it stands.

use telemetry::Context;
use telemetry::context::State;

use super::field::Known;
use super::head::Head;

/// What was seen of them.
#[derive(Debug, Default)]
pub(crate) struct ContextFields<'a> {
    parents: u32,
    context: Option<Context>,
    state: Option<State<'a>>,
}

impl<'a> ContextFields<'a> {
    pub(crate) fn parent(&mut self, value: &[u8]) {
        self.parents += 1;
        self.context = Context::parse(value);
    }

    pub(crate) fn state(&mut self, value: &'a [u8]) {
        self.state.get_or_insert_default().see(value);
    }

    /// The one context there is. A state without one, or one that isn't well-formed, stays behind.
    pub(crate) fn end(&self, head: &mut Head) -> Option<Context> {
        let context = self.context.filter(|_| self.parents == 1);
        if self.state.as_ref().is_some_and(|state| context.is_none() || !state.is_good()) {
            for field in &mut head.fields {
                field.dropped |= field.known == Known::TraceState;
            }
        }
        context
    }
}
