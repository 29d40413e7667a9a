//! HTTP/2 at either end: everything that isn't HTTP/1.1 to HTTP/1.1, on hyper.
//!
//! `serve` takes clients' HTTP/2 connections; `forward` carries one request to an endpoint of either protocol;
//! `translate` gives an HTTP/1 client what a workload that speaks HTTP/2 answers.

mod body;
pub(crate) mod client;
mod fields;
mod forward;
mod pipe;
mod pressure;
pub(crate) mod serve;
mod translate;

pub(crate) use forward::pick;

/// Runs hyper's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        // Ends with its connection.
        drop(tokio::task::spawn_local(async move { drop(task.await) }));
    }
}
