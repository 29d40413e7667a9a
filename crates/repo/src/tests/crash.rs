//! kill -9 at any instant leaves whole files or none.

use std::fs;
use std::io::{BufReader, Read as _};

use types::Digest;

use super::child::{Task, command};
use super::{BOTH, folder, names, open};
use crate::Repo;

#[test]
fn a_kill_at_any_instant_leaves_whole_files_or_none() {
    for kind in BOTH {
        let dir = folder();
        for round in 0..60_u64 {
            let mut child = command(dir.path(), kind, Task::PutForEver).spawn().unwrap();
            // Where the kill falls is told by what the child has done, not by a clock: after a pseudo-random
            // number of pieces, hence within, before and after each of a put's steps.
            let ticks = round * 7919 % 61;
            let mut said = BufReader::new(child.stdout.take().unwrap()).bytes();
            let mut seen = 0;
            while seen < ticks {
                seen += u64::from(
                    said.next().expect("the child talks until it is killed").unwrap() == super::child::TICK,
                );
            }
            child.kill().unwrap();
            child.wait().unwrap();
            for name in names(dir.path()).iter().filter(|name| !name.starts_with(".tmp-")) {
                let content = fs::read(dir.path().join(name)).unwrap();
                assert_eq!(*name, format!("{}.spore", Digest::of(&content)), "{kind:?}, round {round}");
            }
        }
        let repo = Repo::open(dir.path()).unwrap();
        assert!(names(dir.path()).iter().all(|name| name.ends_with(".spore")), "what the dead left is swept");
        assert!(!repo.list().unwrap().is_empty());
        let (digest, _) = open(dir.path(), kind).put(&super::child::content(0)[..]).unwrap();
        repo.get_verified(&digest).unwrap();
    }
}
