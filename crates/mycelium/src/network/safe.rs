//! How far a record is safe: synced to disk here, and on as many other nodes as answer in time.

use std::time::Duration;

use fabric::{Fabric, MAX_RECORD, Record};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyphae::{Overlay, Protocol, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use types::PublicKey;

use super::STORE;
use crate::clock::SystemClock;

/// On so many other nodes a record is safe from one that dies.
const WANTED: usize = 2;
/// So many are asked at once, as one may be slow.
const ASKED: usize = 4;
/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is answered once the record is on disk.
const SAFE: u8 = 1;

/// Hands a record to some of these peers; how many have it on disk. Asks others where one does not answer.
pub(crate) async fn replicate(overlay: &Overlay, peers: Vec<PublicKey>, record: &Record) -> usize {
    let bytes = record.encode();
    let mut rest = peers.into_iter();
    let mut asked = FuturesUnordered::new();
    asked.extend(rest.by_ref().take(ASKED).map(|peer| hand(overlay, peer, &bytes)));
    let mut safe = 0;
    let gather = async {
        while let Some(is_safe) = asked.next().await {
            if is_safe {
                safe += 1;
                if safe == WANTED {
                    break;
                }
            } else if let Some(peer) = rest.next() {
                asked.push(hand(overlay, peer, &bytes));
            }
        }
    };
    // Those that answered in time count.
    let _ = timeout(PATIENCE, gather).await;
    safe
}

async fn hand(overlay: &Overlay, peer: PublicKey, record: &[u8]) -> bool {
    let asked = async {
        let mut stream = overlay.open(peer, STORE).await.ok()?;
        stream.write_all(record).await.ok()?;
        stream.shutdown().await.ok()?;
        stream.read_u8().await.ok()
    };
    asked.await == Some(SAFE)
}

/// Takes records of peers, and says when they are on disk here.
pub(super) fn protocol(fabric: &Fabric) -> Protocol {
    let fabric = fabric.clone();
    Protocol::streams(move |_, stream| {
        let fabric = fabric.clone();
        async move {
            // Whoever broke off is told nothing.
            let _ = timeout(PATIENCE, take(&fabric, stream)).await;
        }
    })
}

async fn take(fabric: &Fabric, mut stream: Stream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    (&mut stream).take(MAX_RECORD as u64 + 1).read_to_end(&mut bytes).await?;
    let Ok(record) = Record::decode(&bytes) else { return Ok(()) };
    if let Err(error) = fabric.merge_one(record, SystemClock.now()) {
        tracing::warn!("failed to take a record of a peer: {error}");
        return Ok(());
    }
    let fabric = fabric.clone();
    let synced = tokio::task::spawn_blocking(move || fabric.flush()).await;
    if matches!(synced, Ok(Ok(()))) {
        stream.write_u8(SAFE).await?;
        stream.shutdown().await?;
    }
    Ok(())
}
