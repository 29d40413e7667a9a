//! The events of this machine: numbered, appended to a bounded pair of files, and followed by whoever asks.
//!
//! An event is written to the file before anybody is woken for it, so a kill -9 loses none that was seen.
//! Nothing is decided by reading them.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetry::Event;
use tokio::sync::watch;

/// How many bytes a file may grow to before it becomes the previous one.
const FILE_BYTES: u64 = 4 << 20;
/// How many of the last events are answered from memory.
const RING: usize = 512;

/// The log of events; cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    latest: watch::Sender<u64>,
}

struct State {
    dir: PathBuf,
    /// `None` once another process owns the files.
    file: Option<File>,
    bytes: u64,
    last: u64,
    ring: VecDeque<Event>,
}

impl EventLog {
    /// Opens the log in `dir`, creating it; goes on counting after the last event found there.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut ring = VecDeque::new();
        for name in ["previous.ndjson", "current.ndjson"] {
            for event in read(&dir.join(name))? {
                remember(&mut ring, event);
            }
        }
        let (file, bytes) = append_to(&dir.join("current.ndjson"))?;
        let last = ring.back().map_or(0, |event| event.seq);
        let state = State { dir: dir.to_owned(), file: Some(file), bytes, last, ring };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), latest: watch::Sender::new(last) }) })
    }

    /// Numbers `event`, writes it, and wakes those who follow. A full disk costs the line in the file, not the event.
    pub fn record(&self, mut event: Event) {
        let mut state = self.lock();
        event.seq = state.last + 1;
        state.last = event.seq;
        if let Err(e) = state.write(&event) {
            tracing::warn!(dir = %state.dir.display(), error = %e, "can't write an event to disk");
        }
        let seq = event.seq;
        remember(&mut state.ring, event);
        drop(state);
        self.shared.latest.send_replace(seq);
    }

    /// The number of the last event, now and whenever it changes.
    #[must_use]
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.shared.latest.subscribe()
    }

    /// All events with a number above `since` that are still kept, oldest first.
    pub fn after(&self, since: u64) -> io::Result<Vec<Event>> {
        let state = self.lock();
        let newer = |event: &Event| event.seq > since;
        if state.ring.front().is_none_or(|first| first.seq <= since + 1) {
            return Ok(state.ring.iter().filter(|e| newer(e)).cloned().collect());
        }
        let dir = state.dir.clone();
        drop(state);
        let mut events = read(&dir.join("previous.ndjson"))?;
        events.extend(read(&dir.join("current.ndjson"))?);
        events.retain(newer);
        Ok(events)
    }

    /// Leaves the files to another process; what is recorded from now on stays in memory.
    pub fn release(&self) {
        self.lock().file = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if self.bytes >= FILE_BYTES && self.file.is_some() {
            let current = self.dir.join("current.ndjson");
            std::fs::rename(&current, self.dir.join("previous.ndjson"))?;
            let (file, bytes) = append_to(&current)?;
            (self.file, self.bytes) = (Some(file), bytes);
        }
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            file.write_all(&line)?;
            self.bytes += line.len() as u64;
        }
        Ok(())
    }
}

fn remember(ring: &mut VecDeque<Event>, event: Event) {
    if ring.len() == RING {
        ring.pop_front();
    }
    ring.push_back(event);
}

/// Opens for appending; a line that a crash tore is ended first, so that it can't swallow the next one.
fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let bytes = file.seek(SeekFrom::End(0))?;
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok((file, bytes))
}

/// Every whole event of a file; torn lines are passed over.
fn read(path: &Path) -> io::Result<Vec<Event>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut events = Vec::new();
    for line in BufReader::new(file.take(2 * FILE_BYTES)).split(b'\n') {
        events.extend(serde_json::from_slice::<Event>(&line?));
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
