//! One-way messages as they come in: one after the other, each of a bounded size.

use bytes::Bytes;
use quinn::RecvStream;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};

use crate::link::Link;
use crate::protocol::OnMessage;
use crate::wire::{self, MAX_MESSAGE};

/// How much is read ahead of the messages.
const AHEAD: usize = 16 << 10;

/// Hands over message after message until the stream ends. A length that can't be one ends the connection: what comes
/// behind it can't be told apart any more.
pub async fn receive(link: &Link, recv: RecvStream, protocol: &str, receive: &OnMessage) {
    let mut recv = BufReader::with_capacity(AHEAD, recv);
    loop {
        match next(&mut recv).await {
            Ok(Some(message)) => {
                link.touch();
                receive(link.peer, message).await;
            }
            Ok(None) => return,
            Err(length) => {
                let reason = format!("a message of {length} bytes on {protocol}, at most {MAX_MESSAGE} fit");
                tracing::warn!(peer = %link.peer, %reason, "a peer sent garbage");
                return link.close(wire::CODE_GARBAGE, &reason);
            }
        }
    }
}

/// The next message; `Ok(None)` when the stream ended or broke, `Err` with the length that none can have.
async fn next(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Bytes>, usize> {
    let mut length = [0; 4];
    if from.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let mut message = vec![0; wire::message_length(length)?];
    match from.read_exact(&mut message).await {
        Ok(_) => Ok(Some(message.into())),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
