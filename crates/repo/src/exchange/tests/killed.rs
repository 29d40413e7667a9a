//! kill -9 in the middle of a fetch: the next process goes on with the pieces that were written.

use std::io::{BufReader, Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::Path;

use super::rig::{Net, Node, content, limits};
use crate::exchange::{Limits, PIECE};
use crate::temp::Kind;
use crate::tests::child::{TICK, Task, command};

const PIECES: usize = 12;

/// The child: fetches, says when a piece is here, and how it ended.
pub(crate) fn child(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // slow enough to be killed in the middle
        let rate = NonZeroU64::new(64 << 20);
        let holder = Node::with(0, Limits { upload_rate: rate, ..limits() });
        let digest = holder.put(&content(1, PIECES * PIECE));
        let me = Node::at(1, dir, limits());
        let net = Net::of(&[&holder]);
        let mut fetching = Box::pin(me.exchange.fetch(digest, net.for_node(&me)));
        let mut told = 0;
        loop {
            let pause = tokio::time::sleep(std::time::Duration::from_millis(1));
            tokio::select! {
                fetched = &mut fetching => {
                    return match fetched {
                        Ok(fetched) => println!("stored {}", fetched.path.display()),
                        Err(error) => println!("failed to {error}"),
                    };
                }
                () = pause => {}
            }
            while me.exchange.progress(&digest).is_some_and(|progress| progress.have > told) {
                std::io::stdout().write_all(&[TICK]).unwrap();
                std::io::stdout().flush().unwrap();
                told += 1;
            }
        }
    });
}

#[tokio::test]
async fn a_kill_at_any_piece_costs_no_piece_that_was_written() {
    let spore = content(1, PIECES * PIECE);
    for ticks in [0, 1, 2, 5, 8, 11] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command(dir.path(), Kind::Nameless, Task::Fetch).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).bytes();
        let mut seen = 0;
        while seen < ticks {
            let byte = said.next().expect("the child talks until it is killed").unwrap();
            seen += usize::from(byte == TICK);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let [holder, me] = [Node::new(0), Node::at(1, dir.path(), limits())];
        let digest = holder.put(&spore);
        let net = Net::of(&[&holder]);
        me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
        me.has(&digest, &spore).await;
        let sent = usize::try_from(holder.sent()).unwrap();
        assert!(sent <= (PIECES - seen) * PIECE, "{seen} pieces were here, {sent} bytes were sent after");
    }
}
