//! The whole product, through its binary: one file a command.

mod reference;
