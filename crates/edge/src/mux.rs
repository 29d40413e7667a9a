//! HTTP/2 at either end: everything that isn't HTTP/1.1 to HTTP/1.1, on hyper.

pub(crate) mod client;
pub(crate) mod serve;
