//! The two small files that say what a process ended over: what it had in hand, and how it ended.
//!
//! Both are written in place, with room taken beforehand, so that a full disk doesn't matter; the text ends at the
//! first zero byte.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use types::Digest;

/// Room for some ten thousand records in hand. More come only when a store is fetched whole; they go unnoted.
const HAND_BYTES: usize = 1 << 20;
/// Room for a sentence.
const MARK_BYTES: usize = 4096;

/// A record in hand: `STRIKES ID BEFORE WHAT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Digest,
    /// How many processes in a row were killed with it in hand.
    pub(super) strikes: u8,
    /// The record that it took the place of, in base64 or as `-`.
    pub(super) before: Option<Vec<u8>>,
    /// What it is about, for people.
    pub(super) what: String,
}

/// The file that lists what is in hand.
pub(super) struct HandFile {
    file: File,
    end: usize,
    failed: bool,
}

/// The file that says how a process ended, from its last moment on.
pub(super) struct MarkFile {
    file: File,
    set: AtomicBool,
}

impl Entry {
    fn line(&self) -> String {
        let before = self.before.as_ref().map_or_else(|| "-".to_owned(), |bytes| STANDARD.encode(bytes));
        format!("{} {} {before} {}\n", self.strikes, self.id, self.what)
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (strikes, id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let before = STANDARD.decode(words.next()?).ok();
        Some(Self { id, strikes, before, what: words.next().unwrap_or_default().to_owned() })
    }
}

impl HandFile {
    /// Opens or makes it: it, and what it lists.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let (file, text) = open(path, HAND_BYTES)?;
        let left = text.lines().filter_map(Entry::read).collect();
        Ok((Self { file, end: text.len(), failed: false }, left))
    }

    pub(super) fn append(&mut self, entry: &Entry) {
        let line = entry.line();
        self.put(self.end, &line);
    }

    pub(super) fn rewrite<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) {
        let text: String = entries.map(Entry::line).collect();
        self.put(0, &text);
    }

    fn put(&mut self, at: usize, text: &str) {
        let room = HAND_BYTES - 1 - at;
        // Whole lines only: half an id is the id of nothing.
        let fits =
            if text.len() <= room { text.len() } else { text[..room].rfind('\n').map_or(0, |n| n + 1) };
        let bytes = [&text.as_bytes()[..fits], &[0]].concat();
        match self.file.write_all_at(&bytes, at as u64) {
            Ok(()) => self.end = at + fits,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!(%error, "can't note which records are in hand");
            }
            Err(_) => {}
        }
    }
}

impl MarkFile {
    /// Opens or makes it: it, and what it says.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<String>)> {
        let (file, text) = open(path, MARK_BYTES)?;
        let said = text.trim().to_owned();
        let set = AtomicBool::new(!said.is_empty());
        Ok((Self { file, set }, Some(said).filter(|said| !said.is_empty())))
    }

    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Says how the process ends: for the last moment, so it takes no lock. The first to say it is right.
    pub(super) fn set(&self, why: &str) {
        if self.set.swap(true, Ordering::AcqRel) {
            return;
        }
        let line = why.replace(|c: char| c.is_control(), " ");
        let line: String = line.chars().take(500).collect();
        // Then it ends as if it were killed, which counts as well.
        let _ = self.file.write_all_at(&[line.as_bytes(), &[0]].concat(), 0);
    }

    pub(super) fn clear(&self) {
        // An old reason at the next start is no worse than none.
        let _ = self.file.write_all_at(&[0], 0);
        self.set.store(false, Ordering::Release);
    }
}

fn open(path: &Path, room: usize) -> io::Result<(File, String)> {
    let file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(room);
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    if size < room {
        // Without room now, each write finds out for itself.
        let _ = file.write_all_at(&vec![0; room - size], size as u64);
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(size);
    Ok((file, String::from_utf8_lossy(&bytes[..end]).into_owned()))
}
