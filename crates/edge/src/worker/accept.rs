//! New connections: accepted while there is room, each served by a task of its own.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Worker;
use super::watch::{Phase, millis};
use crate::http1::conn;
use crate::io::Stream;
use crate::mux;

/// How long to wait when the system has no descriptor or memory for another connection.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(50);

/// Counts a connection for as long as it lives.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.gauges.connections.fetch_sub(1, Relaxed);
        self.0.went.notify_waiters();
    }
}

impl Worker {
    /// Accepts connections until the worker stops.
    pub(super) async fn accept(self: Rc<Self>, listener: TcpListener, tls: bool) {
        let stopped = self.stopped();
        tokio::pin!(stopped);
        loop {
            while self.is_full() {
                self.went.notified().await;
            }
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = &mut stopped => return self.accept_last(listener, tls),
            };
            match accepted {
                Ok((tcp, peer)) => self.welcome(tcp, peer, tls),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    tokio::time::sleep(OUT_OF_RESOURCES).await;
                }
            }
        }
    }

    /// Takes what already waits to be accepted: these clients' connections were made.
    fn accept_last(self: &Rc<Self>, listener: TcpListener, tls: bool) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((tcp, peer)) = listener.accept() {
            if tcp.set_nonblocking(true).is_ok()
                && let Ok(tcp) = TcpStream::from_std(tcp)
            {
                self.welcome(tcp, peer, tls);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.gauges.connections.load(Relaxed) >= self.config.limits.connections as u64
    }

    fn welcome(self: &Rc<Self>, tcp: TcpStream, peer: SocketAddr, tls: bool) {
        self.gauges.accepted.fetch_add(1, Relaxed);
        self.gauges.connections.fetch_add(1, Relaxed);
        let counted = Counted(self.clone());
        let worker = self.clone();
        tokio::task::spawn_local(async move {
            worker.serve(tcp, peer, tls).await;
            drop(counted);
        });
    }

    async fn serve(self: Rc<Self>, tcp: TcpStream, peer: SocketAddr, tls: bool) {
        // Without these a connection works too, only slower, or longer after its client is gone.
        let _ = tcp.set_nodelay(true);
        let _ = socket2::SockRef::from(&tcp).set_keepalive(true);
        let stream = match self.config.tls.as_ref().filter(|_| tls) {
            None => Stream::Plain(tcp),
            Some(config) => {
                let handshake = TlsAcceptor::from(config.clone()).accept(tcp);
                match timeout(self.config.limits.head_time, handshake).await {
                    Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                    Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
                    Err(_) => return tracing::debug!(%peer, "TLS handshake took too long"),
                }
            }
        };
        let negotiated = match &stream {
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
            Stream::Plain(_) => false,
        };
        if negotiated {
            return mux::serve::serve(self, stream, peer, Vec::new()).await;
        }
        let deadline = self.now(Instant::now()) + millis(self.config.limits.head_time);
        let watch = self.watch(Phase::Head, deadline);
        if let Some((stream, read)) = conn::serve(self.clone(), stream, peer, watch).await {
            mux::serve::serve(self, stream, peer, read).await;
        }
    }
}

/// A client that gave up before it was accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
