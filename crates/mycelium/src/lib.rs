//! mycelium
