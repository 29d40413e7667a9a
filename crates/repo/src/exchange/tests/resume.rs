//! A fetch that ends in the middle goes on where it was, whatever became of its files; and what nobody goes on with
//! leaves.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::rig::{Net, Node, content, limits, outline};
use super::swarm::until;
use crate::exchange::journal;
use crate::exchange::partial::Claim;
use crate::exchange::{Limits, PIECE};

/// A node that has some pieces of the spore, and whose fetch was ended.
async fn half(spore: &[u8]) -> (Node, Node, Arc<Net>, types::Digest) {
    let [holder, me] = [0, 1].map(Node::new);
    let digest = holder.put(spore);
    let net = Net::of(&[&holder]);
    net.fuse(&holder, 6 * PIECE);
    let mut fetching = Box::pin(me.exchange.fetch(digest, net.for_node(&me)));
    let enough = until(|| me.exchange.progress(&digest).is_some_and(|progress| progress.have >= 4));
    tokio::select! {
        _ = &mut fetching => panic!("it can't be done"),
        () = enough => {}
    }
    drop(fetching);
    let whole = Net::of(&[&holder]);
    (holder, me, whole, digest)
}

#[tokio::test]
async fn goes_on_after_the_end_of_its_process() {
    let spore = content(1, 16 * PIECE);
    let (_, me, _, digest) = half(&spore).await;
    let me = me.restarted(limits());
    let holder = Node::new(2);
    holder.put(&spore);
    let net = Net::of(&[&holder]);
    me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    me.has(&digest, &spore).await;
    let again = holder.sent();
    assert!(again <= 12 * PIECE as u64, "what was here is not sent again: {again}");
}

#[tokio::test]
async fn a_torn_journal_costs_at_most_the_work() {
    let spore = content(2, 12 * PIECE);
    let head = 44 + 8 + 12 * 32;
    for cut in [0, 3, 44, 60, head - 1, head, head + 1, head + 7] {
        let (_, me, net, digest) = half(&spore).await;
        let journal = me.path(&format!("{digest}.pieces"));
        fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(cut).unwrap();
        let me = me.restarted(limits());
        me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
        me.has(&digest, &spore).await;
    }
}

/// After a power cut the journal may have pieces that the file lacks.
#[tokio::test]
async fn a_journal_that_promises_too_much_is_not_believed() {
    let spore = content(3, 12 * PIECE);
    let damages: [fn(&std::path::Path); 3] = [
        |data| fs::write(data, b"").unwrap(),
        |data| fs::remove_file(data).unwrap(),
        |data| {
            let file = fs::OpenOptions::new().write(true).open(data).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 5 * PIECE], 0).unwrap();
        },
    ];
    for damage in damages {
        let (_, me, net, digest) = half(&spore).await;
        damage(&me.path(&format!("{digest}.partial")));
        let journal = fs::OpenOptions::new().append(true).open(me.path(&format!("{digest}.pieces"))).unwrap();
        let mut journal = journal;
        for index in [0, 1, 2, 3, 11, 12, u32::MAX] {
            std::io::Write::write_all(&mut journal, &u32::to_be_bytes(index)).unwrap();
        }
        let me = me.restarted(limits());
        let fetched = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
        assert!(fetched.blamed.is_empty());
        me.has(&digest, &spore).await;
    }
}

/// The list that a fetch began with may be a lie, told by somebody who is gone.
#[tokio::test]
async fn a_false_list_that_was_left_is_given_up() {
    let spore = content(4, 6 * PIECE);
    let [holder, me] = [0, 1].map(Node::new);
    let digest = holder.put(&spore);
    let claim = Claim::take(me.repo(), &digest).unwrap().unwrap();
    let mut lie = spore.clone();
    lie[2 * PIECE] ^= 1;
    let partial = claim.begin(Arc::new(outline(&lie))).unwrap();
    for index in [0, 2, 5] {
        let at = index as usize * PIECE;
        assert!(partial.write(index, &lie[at..at + PIECE]).unwrap());
    }
    drop(partial);
    let net = Net::of(&[&holder]);
    let fetched = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    assert!(fetched.blamed.is_empty());
    me.has(&digest, &spore).await;
    assert_eq!(holder.sent(), 4 * PIECE as u64, "the two true pieces stay");
}

#[tokio::test]
async fn two_processes_write_one_after_the_other() {
    let spore = content(5, 4 * PIECE);
    let [holder, me] = [0, 1].map(Node::new);
    let digest = holder.put(&spore);
    let net = Net::of(&[&holder]);
    let other = Claim::take(me.repo(), &digest).unwrap().unwrap();
    assert!(Claim::take(me.repo(), &digest).unwrap().is_none(), "one at a time");
    let fetching = me.exchange.fetch(digest, net.for_node(&me));
    let (fetched, ()) = tokio::join!(fetching, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(net.opened(), 0);
        drop(other);
    });
    fetched.unwrap();
    me.has(&digest, &spore).await;
}

#[tokio::test]
async fn what_another_process_has_brought_is_taken() {
    let spore = content(6, 2 * PIECE);
    let me = Node::new(0);
    let digest = types::Digest::of(&spore);
    let other = Claim::take(me.repo(), &digest).unwrap().unwrap();
    let net = Net::of(&[]);
    let fetching = me.exchange.fetch(digest, net.for_node(&me));
    let (fetched, ()) = tokio::join!(fetching, async {
        me.put(&spore);
        other.discard();
    });
    assert_eq!(fetched.unwrap().bytes, spore.len() as u64);
    me.has(&digest, &spore).await;
}

#[tokio::test]
async fn gc_takes_what_nobody_goes_on_with() {
    let spore = content(7, 10 * PIECE);
    let (_, me, _, digest) = half(&spore).await;
    // the last piece that was being written keeps the lock for a moment
    until(|| Claim::take(me.repo(), &digest).unwrap().is_some()).await;
    let files = [format!("{digest}.partial"), format!("{digest}.pieces")];
    assert_eq!(me.names(), files);
    let age = |by: Duration| {
        for file in &files {
            let file = fs::OpenOptions::new().write(true).open(me.path(file)).unwrap();
            file.set_modified(SystemTime::now() - by).unwrap();
        }
    };
    let hour = Duration::from_secs(3_600);
    me.repo().gc(&|_| false, hour).unwrap();
    assert_eq!(me.names(), files, "it is young");
    age(2 * hour);
    me.repo().gc(&|_| true, hour).unwrap();
    assert_eq!(me.names(), files, "it is wanted");
    let lock = Claim::take(me.repo(), &digest).unwrap().unwrap();
    me.repo().gc(&|_| false, hour).unwrap();
    assert_eq!(me.names(), files, "it is being fetched");
    drop(lock);
    me.repo().gc(&|_| false, hour).unwrap();
    assert!(me.names().is_empty(), "{:?}", me.names());
}

#[tokio::test]
async fn gc_takes_what_is_wanted_and_stale() {
    let spore = content(8, 10 * PIECE);
    let (_, me, _, digest) = half(&spore).await;
    until(|| Claim::take(me.repo(), &digest).unwrap().is_some()).await;
    for name in me.names() {
        let file = fs::OpenOptions::new().write(true).open(me.path(&name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3_600)).unwrap();
    }
    me.repo().gc(&|_| true, Duration::ZERO).unwrap();
    assert!(me.names().is_empty(), "{:?}", me.names());
}

#[test]
fn journals_say_what_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let outline = outline(&content(9, 3 * PIECE + 1));
    let mut pieces = crate::exchange::pieces::Pieces::none(4);
    pieces.insert(3);
    let mut written = journal::Journal::create(&path, &outline, &pieces).unwrap();
    written.note(0).unwrap();
    assert_eq!(journal::read(&path), Some((outline, vec![3, 0])));
    assert_eq!(journal::read(dir.path()), None);
}

#[tokio::test]
async fn a_fetch_without_end_gives_up_with_what_it_has() {
    let spore = content(10, 12 * PIECE);
    let (holder, me, net, digest) = half(&spore).await;
    net.lose(&holder);
    let me = me.restarted(Limits { patience: Duration::from_millis(200), ..limits() });
    let error = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap_err().to_string();
    assert!(error.contains("of 12 pieces are here") && !error.contains(" 0 of 12"), "{error}");
}
