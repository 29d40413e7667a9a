//! soul
