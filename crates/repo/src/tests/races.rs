//! Many writers, and writers against gc.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use types::Digest;

use super::{BOTH, folder, names, open};

#[test]
fn concurrent_writers_of_the_same_content_all_succeed() {
    for kind in BOTH {
        let dir = folder();
        let content = vec![5; 600_000];
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let repo = open(dir.path(), kind);
                    barrier.wait();
                    for _ in 0..5 {
                        let (digest, path) = repo.put(&content[..]).unwrap();
                        assert_eq!(digest, Digest::of(&content));
                        assert!(path.exists());
                    }
                });
            }
        });
        assert_eq!(names(dir.path()).len(), 1, "{kind:?}");
        open(dir.path(), kind).get_verified(&Digest::of(&content)).unwrap();
    }
}

#[test]
fn gc_never_takes_what_a_put_has_just_promised() {
    for kind in BOTH {
        let dir = folder();
        let done = AtomicBool::new(false);
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let repo = open(dir.path(), kind);
                while !done.load(Ordering::Relaxed) {
                    repo.gc(&|_| false, Duration::from_secs(3600)).unwrap();
                }
            });
            let repo = open(dir.path(), kind);
            for _ in 0..200 {
                let (_, path) = repo.put(&b"again and again"[..]).unwrap();
                // young again, whether it was there or gc had taken it
                let file = std::fs::File::open(&path);
                if file.is_err() {
                    done.store(true, Ordering::Relaxed);
                }
                file.expect("it is there when put returns").set_modified(long_ago).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
