//! Nutrients: the arithmetic of what workloads use and are given. Integers only, so that all nodes get the same; no clock, no
//! input or output.

pub mod learn;
