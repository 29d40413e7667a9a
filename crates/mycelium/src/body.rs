//! A message body that is fed through a bounded channel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::Receiver;

/// Ends when its sender is dropped; breaks the connection off at the first error.
pub(crate) struct Chunks(Receiver<io::Result<Bytes>>);

impl Chunks {
    pub(crate) const fn new(receiver: Receiver<io::Result<Bytes>>) -> Self {
        Self(receiver)
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|p| p.map(Frame::data)))
    }
}
