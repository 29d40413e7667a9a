//! Follows the logs of many replicas at once: one inotify descriptor, woken by each write, across rotations.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::record::{self, LogLine};
use super::{files, tail};
use crate::reactor;

/// How much of one log is read at a time.
const CHUNK: usize = 64 << 10;
/// A record never is longer: the longest line and its prefix.
const MAX_RECORD: usize = 128 << 10;

/// A follower of any number of logs. It reads from where [`Follow::add`] left off, and misses no
/// line that was not rotated away before it came to it.
#[derive(Debug)]
pub struct Follow {
    inotify: AsyncFd<OwnedFd>,
    logs: BTreeMap<String, Source>,
    /// The logs behind each watch: two names for one folder share it.
    watches: BTreeMap<i32, BTreeSet<String>>,
    /// Names of logs that may hold more than was read.
    behind: BTreeSet<String>,
    /// The one served last: the others come before it again.
    served: String,
}

/// A line and the log it is from, by the name given to [`Follow::add`].
pub type Followed = (String, LogLine);

#[derive(Debug)]
struct Source {
    dir: PathBuf,
    watch: i32,
    /// The file being read and how far; `None` until there is one.
    place: Option<tail::Place>,
}

impl Follow {
    /// A follower of nothing yet. Must be called within a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let inotify = reactor::register(
            inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            Interest::READABLE,
        )?;
        let (logs, watches, behind) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { inotify, logs, watches, behind, served: String::new() })
    }

    /// Begins to follow the log in `dir` under `name` and returns its last `lines` lines; what comes
    /// from [`Follow::next`] goes on behind them. The folder is made if it doesn't exist yet.
    pub fn add(&mut self, name: &str, dir: &Path, lines: usize) -> io::Result<Vec<LogLine>> {
        self.remove(name);
        std::fs::create_dir_all(dir)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        // watched first: a write between the two is then read twice over, not missed
        let watch = inotify::add_watch(self.inotify.get_ref(), dir, flags)?;
        let (last, place) = tail::tail_with_place(dir, lines)?;
        self.logs.insert(name.to_owned(), Source { dir: dir.to_owned(), watch, place });
        self.watches.entry(watch).or_default().insert(name.to_owned());
        self.behind.insert(name.to_owned());
        Ok(last)
    }

    /// Follows it no longer.
    pub fn remove(&mut self, name: &str) {
        if let Some(log) = self.logs.remove(name) {
            self.behind.remove(name);
            let names = self.watches.entry(log.watch).or_default();
            names.remove(name);
            if names.is_empty() {
                self.watches.remove(&log.watch);
                let _ = inotify::remove_watch(self.inotify.get_ref(), log.watch);
            }
        }
    }

    /// The next lines of any of the logs, at least one, those of one log in order. Loses nothing
    /// when it is cancelled.
    pub async fn next(&mut self) -> io::Result<Vec<Followed>> {
        loop {
            while let Some(name) = self.next_behind() {
                let Some(log) = self.logs.get_mut(&name) else {
                    self.behind.remove(&name);
                    continue;
                };
                let lines = log.read()?;
                if lines.is_empty() {
                    self.behind.remove(&name);
                } else {
                    let named = lines.into_iter().map(|line| (name.clone(), line)).collect();
                    self.served = name;
                    return Ok(named);
                }
            }
            self.wait().await?;
        }
    }

    /// In turn, so that a busy log doesn't keep the others waiting.
    fn next_behind(&self) -> Option<String> {
        let after = (Bound::Excluded(&self.served), Bound::Unbounded);
        self.behind.range::<String, _>(after).next().or(self.behind.first()).cloned()
    }

    /// Waits for a write anywhere.
    async fn wait(&mut self) -> io::Result<()> {
        let mut ready = self.inotify.readable().await?;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(self.inotify.get_ref(), &mut space);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) => {
                    self.behind.extend(self.logs.keys().cloned());
                }
                Ok(event) => self.behind.extend(self.watches.get(&event.wd()).into_iter().flatten().cloned()),
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}

impl Source {
    /// Some whole records, none when all was read.
    fn read(&mut self) -> io::Result<Vec<LogLine>> {
        loop {
            if self.place.is_none() {
                self.place = files::open_all(&self.dir)?.pop().map(|oldest| (oldest, 0));
            }
            let Some((file, offset)) = &mut self.place else { return Ok(Vec::new()) };
            let identity = files::identity(file)?;
            let written = files::current(&self.dir) == Some(identity);
            // Looked at before it is read: what was put aside by then is whole when it has been read.
            let lines = read_records(file, offset)?;
            if !lines.is_empty() || written {
                return Ok(lines);
            }
            match files::successor(&self.dir, identity)? {
                Some(next) => self.place = Some((next, 0)),
                None => return Ok(Vec::new()),
            }
        }
    }
}

fn read_records(file: &File, offset: &mut u64) -> io::Result<Vec<LogLine>> {
    let mut bytes = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let count = file.read_at(&mut bytes[filled..], *offset + filled as u64)?;
        filled += count;
        let whole = bytes[..filled].iter().rposition(|byte| *byte == b'\n').map(|last| last + 1);
        // a longer record is nobody's we know: it is passed on in pieces rather than gathered
        let whole = whole.or((filled >= MAX_RECORD).then_some(filled));
        if let Some(whole) = whole {
            *offset += whole as u64;
            let records = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
            return Ok(records.map(|r| record::parse(r.strip_suffix(b"\n").unwrap_or(r))).collect());
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        bytes.resize(filled + CHUNK, 0);
    }
}
