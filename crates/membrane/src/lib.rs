//! membrane
