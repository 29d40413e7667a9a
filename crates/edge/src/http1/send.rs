//! The request on its way to the workload: its new head, then its body as the client sends it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::conn::Conn;
use super::exchange::{ClientFault, Fault, Flow, Up};
use crate::worker::watch::Phase;

/// Bytes of a request that are kept so that it can be sent again.
const KEPT: usize = 64 * 1024;

impl Conn {
    /// Sends as much as can be sent; ready when all is, or when the workload takes no more.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Up,
        flow: &mut Flow,
    ) -> Poll<Result<(), Fault>> {
        loop {
            if flow.deaf {
                return Poll::Ready(Ok(()));
            }
            if flow.sent < self.output.len() || flow.passing > 0 {
                match ready!(self.poll_push(cx, up, flow)) {
                    Ok(_) => continue,
                    // It may have answered before it closed: that is for the receiving side to see.
                    Err(_) => flow.deaf = true,
                }
            } else if flow.ask.body.is_done() {
                return Poll::Ready(Ok(()));
            } else {
                ready!(self.poll_more(cx, flow))?;
            }
        }
    }

    /// Writes once.
    fn poll_push(&mut self, cx: &mut Context<'_>, up: &mut Up, flow: &mut Flow) -> Poll<std::io::Result<()>> {
        if flow.sent < self.output.len() {
            let n = ready!(Pin::new(&mut up.io).poll_write(cx, &self.output[flow.sent..]))?;
            flow.sent += n;
            flow.touched |= n > 0;
            if flow.sent == self.output.len() && !flow.whole {
                self.output.clear();
                flow.sent = 0;
            }
        } else {
            let n = ready!(Pin::new(&mut up.io).poll_write(cx, &self.input.data()[..flow.passing]))?;
            self.input.consume(n);
            flow.passing -= n;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes more of the body from the client.
    fn poll_more(&mut self, cx: &mut Context<'_>, flow: &mut Flow) -> Poll<Result<(), Fault>> {
        if self.input.is_empty() {
            self.watch.turn(Phase::Client);
            match ready!(self.input.poll_fill(&mut self.stream, cx, &self.worker.buffers)) {
                Ok(n) if n > 0 => self.watch.moved(n),
                _ => return Poll::Ready(Err(Fault::Client(ClientFault::Gone))),
            }
        }
        Poll::Ready(self.admit(flow).map_err(Fault::Client))
    }

    /// Takes what of the body came with the head, so that both go in one write.
    pub(super) fn admit_first(&mut self, flow: &mut Flow) -> Result<(), ClientFault> {
        if flow.ask.body.is_done() || self.input.is_empty() { Ok(()) } else { self.admit(flow) }
    }

    /// Checks what of the input belongs to the body: a first part is kept for another attempt, the rest passes through.
    pub(super) fn admit(&mut self, flow: &mut Flow) -> Result<(), ClientFault> {
        let data = self.input.data();
        let n = flow.ask.body.take(data).map_err(ClientFault::Malformed)?;
        flow.ask.allowance = flow.ask.allowance.checked_sub(n as u64).ok_or(ClientFault::TooLarge)?;
        if flow.whole && self.output.len() + n <= KEPT {
            self.output.extend_from_slice(&data[..n]);
            self.input.consume(n);
            return Ok(());
        }
        if flow.whole {
            flow.whole = false;
            self.output.drain(..flow.sent);
            flow.sent = 0;
        }
        flow.passing = n;
        Ok(())
    }
}
