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

/// The file that is written.
const CURRENT: &str = "current.ndjson";
/// The one before it.
const PREVIOUS: &str = "previous.ndjson";
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
        for name in [PREVIOUS, CURRENT] {
            for event in read(open(&dir.join(name))?)? {
                remember(&mut ring, event);
            }
        }
        let (file, bytes) = append_to(&dir.join(CURRENT))?;
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

    /// All events with a number above `since` that are still kept, oldest first. Reads files: it blocks.
    pub fn after(&self, since: u64) -> io::Result<Vec<Event>> {
        let state = self.lock();
        let recent: Vec<Event> = state.ring.iter().filter(|event| event.seq > since).cloned().collect();
        let first = state.ring.front().map_or(0, |event| event.seq);
        if first <= since.saturating_add(1) {
            return Ok(recent);
        }
        // Opened before anybody can put them aside; what they lack, for want of space, the ring may have.
        let files = [PREVIOUS, CURRENT].map(|name| open(&state.dir.join(name)));
        drop(state);
        let mut events = Vec::new();
        for file in files {
            events.extend(read(file?)?);
        }
        events.retain(|event| event.seq > since && event.seq < first);
        events.extend(recent);
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
            let current = self.dir.join(CURRENT);
            match std::fs::rename(&current, self.dir.join(PREVIOUS)) {
                // An earlier try got so far.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
            let (file, bytes) = append_to(&current)?;
            (self.file, self.bytes) = (Some(file), bytes);
        }
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            if let Err(error) = file.write_all(&line) {
                // A part may stand there, and would swallow the next line.
                let _ = file.set_len(self.bytes);
                return Err(error);
            }
            self.bytes += line.len() as u64;
        }
        Ok(())
    }
}

/// What the mesh says of itself.
pub(crate) fn of_mesh(message: String) -> Event {
    let at = crate::clock::SystemClock.now();
    Event { seq: 0, at, kind: telemetry::EventKind::Mesh, node: None, app: None, replica: None, message }
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
    let mut bytes = file.seek(SeekFrom::End(0))?;
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            bytes += 1;
        }
    }
    Ok((file, bytes))
}

/// A file to read from, if there is one.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

/// Every whole event of a file; torn lines are passed over.
fn read(file: Option<File>) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for line in file.into_iter().flat_map(|file| BufReader::new(file.take(2 * FILE_BYTES)).split(b'\n')) {
        events.extend(serde_json::from_slice::<Event>(&line?));
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
