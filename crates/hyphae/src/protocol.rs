//! What is served under a name: streams both ways, one-way messages, or datagrams.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use types::PublicKey;

use crate::Stream;

pub(crate) type OnStream = Arc<dyn Fn(PublicKey, Stream) -> BoxFuture<'static, ()> + Send + Sync>;
pub(crate) type OnMessage = Arc<dyn Fn(PublicKey, Bytes) -> BoxFuture<'static, ()> + Send + Sync>;
pub(crate) type OnDatagram = Arc<dyn Fn(PublicKey, Bytes) + Send + Sync>;

/// What answers a peer. A panic in it ends that one stream, nothing else.
#[derive(Clone)]
pub struct Protocol(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Streams(OnStream),
    Messages(OnMessage),
    Datagrams(OnDatagram),
}

impl Protocol {
    /// Streams both ways: called once a stream that a peer opens. Each runs as a task of its own, as many at once as
    /// [`Limits::streams`](crate::Limits::streams) allows a connection.
    pub fn streams<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(PublicKey, Stream) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Streams(Arc::new(move |peer, stream| serve(peer, stream).boxed())))
    }

    /// One-way messages of up to [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes: called for each, in the order in which the peer sent them. The
    /// next one is read when the answer to this one is done, so a slow receiver slows the sender.
    pub fn messages<F: Future<Output = ()> + Send + 'static>(
        receive: impl Fn(PublicKey, Bytes) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Messages(Arc::new(move |peer, message| receive(peer, message).boxed())))
    }

    /// Datagrams of up to [`MAX_DATAGRAM`](crate::MAX_DATAGRAM) bytes, for the name [`DATAGRAM`](crate::DATAGRAM) alone.
    /// Called where packets are handled: it must not block.
    pub fn datagrams(receive: impl Fn(PublicKey, Bytes) + Send + Sync + 'static) -> Self {
        Self(Kind::Datagrams(Arc::new(receive)))
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Streams(_) => "Protocol(streams)",
            Kind::Messages(_) => "Protocol(messages)",
            Kind::Datagrams(_) => "Protocol(datagrams)",
        })
    }
}
