//! spore
