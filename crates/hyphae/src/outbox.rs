//! Messages that wait for one peer and protocol, and the task that writes them.
//!
//! A full outbox refuses: dropping older ones in silence would tear holes into an order that the receiver relies on, and
//! whoever sends is the one who knows what may be left out. When the peer can't be reached, or the connection breaks,
//! what waited or was on its way is lost: what must arrive at last is mended by whoever reconciles, not by this.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use types::PublicKey;

use crate::link::Link;
use crate::shared::Shared;
use crate::{Limits, dial, wire};

/// As many bytes as are written at once, unless one message is larger.
const BATCH: usize = 64 << 10;

/// What waits.
#[derive(Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

/// There is no room.
pub struct Full;

impl Outbox {
    /// Puts a message behind the others.
    pub fn push(&self, message: Bytes, limits: &Limits) -> Result<(), Full> {
        let mut queue = self.queue();
        let room = queue.messages.len() < limits.outbox_messages
            && (queue.bytes + message.len() <= limits.outbox_bytes || queue.messages.is_empty());
        if !room {
            return Err(Full);
        }
        queue.bytes += message.len();
        queue.messages.push_back(message);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue().messages.is_empty()
    }

    /// The next messages, each behind its length; empty if none waits.
    fn take(&self) -> Vec<u8> {
        let mut queue = self.queue();
        let mut batch = Vec::new();
        while let Some(message) = queue.messages.pop_front() {
            queue.bytes -= message.len();
            let length = u32::try_from(message.len()).expect("a message has at most 256 KiB");
            batch.extend_from_slice(&length.to_be_bytes());
            batch.extend_from_slice(&message);
            if batch.len() >= BATCH {
                break;
            }
        }
        batch
    }

    fn clear(&self) -> usize {
        let mut queue = self.queue();
        let lost = queue.messages.len();
        *queue = Queue::default();
        lost
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes into the outbox, over one stream as long as its connection lives; ends after a while without any.
pub async fn run(shared: Arc<Shared>, peer: PublicKey, protocol: String, outbox: Arc<Outbox>) {
    let mut stream: Option<(SendStream, Arc<Link>)> = None;
    loop {
        let batch = outbox.take();
        if batch.is_empty() {
            tokio::select! {
                () = outbox.wake.notified() => continue,
                () = sleep(shared.limits.idle) => {}
                () = shared.closing.cancelled() => {}
            }
            if retire(&shared, &peer, &protocol, &outbox) {
                break;
            }
            continue;
        }
        if stream.as_ref().is_none_or(|(_, link)| !link.is_usable()) {
            stream = match open(&shared, peer, &protocol).await {
                Ok(opened) => Some(opened),
                Err(reason) => {
                    let lost = 1 + outbox.clear();
                    tracing::debug!(%peer, %protocol, lost, %reason, "messages could not be sent");
                    shared.gate.lost(&peer, &protocol);
                    continue;
                }
            };
        }
        if let Some((send, link)) = &mut stream {
            link.touch();
            if let Err(error) = send.write_all(&batch).await {
                tracing::debug!(%peer, %protocol, %error, "messages were lost on their way");
                shared.gate.lost(&peer, &protocol);
                stream = None;
            }
        }
    }
    if let Some((mut send, _)) = stream {
        // until the peer has it all, or the connection is gone
        let _ = send.finish();
        let _ = send.stopped().await;
    }
}

/// Takes an empty outbox out of the table; a message that came in between keeps it there.
fn retire(shared: &Shared, peer: &PublicKey, protocol: &str, outbox: &Outbox) -> bool {
    let mut table = shared.table();
    if !outbox.is_empty() {
        return false;
    }
    if let Some(entry) = table.peers.get_mut(peer) {
        entry.outboxes.remove(protocol);
    }
    table.tidy(peer);
    true
}

async fn open(
    shared: &Arc<Shared>,
    peer: PublicKey,
    protocol: &str,
) -> Result<(SendStream, Arc<Link>), String> {
    let link = dial::link(shared, peer, protocol).await.map_err(|error| error.to_string())?;
    let mut send = link.connection.open_uni().await.map_err(|error| error.to_string())?;
    send.write_all(&wire::head(protocol)).await.map_err(|error| error.to_string())?;
    Ok((send, link))
}
