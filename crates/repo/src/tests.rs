use std::fs;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use types::Digest;

use crate::temp::{Kind, Temp};
use crate::{Error, Repo};

pub mod child;
mod crash;
mod full;
mod races;

const BOTH: [Kind; 2] = [Kind::Nameless, Kind::Named];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path, kind: Kind) -> Repo {
    Repo::open_with(dir.canonicalize().unwrap(), kind).unwrap()
}

/// Every name in the folder but the lock's.
pub fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

/// Yields `good` bytes, then fails.
struct Failing {
    good: usize,
}

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.good == 0 {
            return Err(io::Error::other("the cable was pulled"));
        }
        let n = self.good.min(buf.len());
        buf[..n].fill(7);
        self.good -= n;
        Ok(n)
    }
}

#[test]
fn puts_and_finds() {
    for kind in BOTH {
        let dir = folder();
        let repo = open(dir.path(), kind);
        let content = b"a spore, as far as the repo knows";
        let (digest, path) = repo.put(&content[..]).unwrap();
        assert_eq!(digest, Digest::of(content));
        assert!(path.is_absolute() && path.ends_with(format!("{digest}.spore")));
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
        assert_eq!(repo.path(&digest), Some(path.clone()));
        for mut file in [repo.get(&digest).unwrap(), repo.get_verified(&digest).unwrap()] {
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(repo.put_file(&path).unwrap(), (digest, path));
        assert_eq!(names(dir.path()), [format!("{digest}.spore")]);
    }
}

#[test]
fn a_relative_folder_gives_absolute_paths() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let repo = Repo::open(dir.path().file_name().unwrap()).unwrap();
    let (_, path) = repo.put(&b"x"[..]).unwrap();
    assert!(path.is_absolute() && path.exists());
}

#[test]
fn a_file_of_the_same_size_is_not_taken_for_the_same() {
    let dir = folder();
    let repo = Repo::open(dir.path().join("repo")).unwrap();
    let source = dir.path().join("source");
    for content in [b"one", b"two", b"one"] {
        fs::write(&source, content).unwrap();
        let (digest, path) = repo.put_file(&source).unwrap();
        assert_eq!(digest, Digest::of(content));
        assert_eq!(fs::read(path).unwrap(), content);
    }
    assert_eq!(repo.list().unwrap().len(), 2);
    // putting it again makes it young, and repairs it
    let (digest, path) = repo.put_file(&source).unwrap();
    fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    repo.put_file(&source).unwrap();
    assert!(fs::metadata(&path).unwrap().modified().unwrap() > std::time::UNIX_EPOCH);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"lie").unwrap();
    repo.put_file(&source).unwrap();
    repo.get_verified(&digest).unwrap();
}

#[test]
fn says_what_is_missing() {
    let dir = folder();
    let repo = Repo::open(dir.path()).unwrap();
    let digest = Digest::of(b"nobody put this");
    assert_eq!(repo.path(&digest), None);
    let text = repo.get(&digest).unwrap_err().to_string();
    assert!(text.contains(&digest.to_string()) && text.contains(dir.path().to_str().unwrap()), "{text}");
    assert!(matches!(repo.put_file(Path::new("/no/such/file")), Err(Error::Open { .. })));
    assert!(matches!(repo.put_file(dir.path()), Err(Error::NotAFile { .. })));
}

#[test]
fn a_source_that_fails_midway_leaves_nothing() {
    for kind in BOTH {
        let dir = folder();
        let error = open(dir.path(), kind).put(Failing { good: 700_000 }).unwrap_err();
        assert!(matches!(error, Error::Source { read: 700_000, .. }), "{error}");
        assert!(error.to_string().contains("the cable was pulled"));
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn altered_content_is_refused_by_name_and_repaired_by_a_put() {
    for kind in BOTH {
        let dir = folder();
        let repo = open(dir.path(), kind);
        let (digest, path) = repo.put(&b"the truth"[..]).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"the lie..").unwrap();
        let error = repo.get_verified(&digest).unwrap_err();
        assert!(matches!(&error, Error::Altered { actual, .. } if *actual == Digest::of(b"the lie..")));
        let text = error.to_string();
        assert!(text.contains(&digest.to_string()) && text.contains(path.to_str().unwrap()), "{text}");
        assert_eq!(repo.put(&b"the truth"[..]).unwrap().0, digest);
        repo.get_verified(&digest).unwrap();
        assert_eq!(names(dir.path()).len(), 1);
    }
}

#[test]
fn a_link_under_a_digests_name_is_not_followed() {
    let dir = folder();
    let repo = Repo::open(dir.path()).unwrap();
    let digest = Digest::of(b"secret");
    fs::write(dir.path().join("elsewhere"), b"secret").unwrap();
    let place = dir.path().join(format!("{digest}.spore"));
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &place).unwrap();
    assert_eq!(repo.path(&digest), None);
    assert!(repo.get(&digest).is_err());
    assert!(repo.list().unwrap().is_empty());
    repo.put(&b"secret"[..]).unwrap();
    assert!(fs::symlink_metadata(place).unwrap().is_file());
}

#[test]
fn lists_by_digest_and_ignores_what_is_not_ours() {
    let dir = folder();
    let repo = Repo::open(dir.path()).unwrap();
    let mut digests: Vec<_> = [&b"one"[..], b"two", b"three"].map(|c| repo.put(c).unwrap().0).into();
    digests.sort();
    for foreign in ["README", "x.spore", &format!("{}.spore", "A".repeat(64)), &"0".repeat(64)] {
        fs::write(dir.path().join(foreign), "not ours").unwrap();
    }
    fs::create_dir(dir.path().join(format!("{}.spore", "0".repeat(64)))).unwrap();
    let listed = repo.list().unwrap();
    assert_eq!(listed.iter().map(|s| s.digest).collect::<Vec<_>>(), digests);
    assert_eq!(listed.iter().map(|s| s.bytes).sum::<u64>(), 11);
    let gone = repo.gc(&|_| false, Duration::ZERO).unwrap();
    assert_eq!(gone, listed);
    assert_eq!(names(dir.path()).len(), 5, "gc leaves what isn't ours");
}

#[test]
fn gc_keeps_what_is_wanted_and_what_is_young() {
    let dir = folder();
    let repo = Repo::open(dir.path()).unwrap();
    let [wanted, old, young] = [&b"wanted"[..], b"old", b"young"].map(|c| repo.put(c).unwrap());
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    for (_, path) in [&wanted, &old] {
        fs::File::open(path).unwrap().set_modified(hours_ago).unwrap();
    }
    let hour = Duration::from_secs(3600);
    let gone = repo.gc(&|digest| *digest == wanted.0, hour).unwrap();
    assert_eq!(gone.iter().map(|s| s.digest).collect::<Vec<_>>(), [old.0]);
    assert!(repo.path(&wanted.0).is_some() && repo.path(&young.0).is_some());
    // putting it again makes it young
    repo.put(&b"wanted"[..]).unwrap();
    assert!(repo.gc(&|_| false, hour).unwrap().is_empty());
}

#[test]
fn a_sweep_takes_what_the_dead_left_and_nothing_of_the_living() {
    let dir = folder();
    let mut living = Temp::create(dir.path(), Kind::Named).unwrap();
    io::Write::write_all(&mut living, b"half").unwrap();
    let dead = dir.path().join(".tmp-0123456789abcdef");
    fs::write(&dead, b"left by a kill").unwrap();
    let repo = Repo::open(dir.path()).unwrap();
    assert!(!dead.exists());
    assert_eq!(names(dir.path()).len(), 1, "the living writer's file stays");
    repo.gc(&|_| false, Duration::ZERO).unwrap();
    living.seal().unwrap();
    living.publish(&dir.path().join("whole"), false).unwrap();
    assert_eq!(fs::read(dir.path().join("whole")).unwrap(), b"half");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_content_in_any_pieces_comes_back(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..6)
    ) {
        let dir = folder();
        let whole = pieces.concat();
        let source = pieces.iter().filter(|p| !p.is_empty()).fold(
            Box::new(io::empty()) as Box<dyn Read>,
            |before, piece| Box::new(before.chain(Cursor::new(piece.clone()))),
        );
        let (digest, path) = Repo::open(dir.path()).unwrap().put(source).unwrap();
        prop_assert_eq!(digest, Digest::of(&whole));
        prop_assert_eq!(fs::read(path).unwrap(), whole);
    }
}
