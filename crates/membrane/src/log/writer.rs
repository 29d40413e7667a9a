//! Writes the log of one replica: cuts two streams into records, rotates, bounds, survives a full disk.
//!
//! It holds no buffer of its own but the start of a line whose end has not come yet. It never makes
//! the workload wait for anything but the disk itself: what can't be written is dropped, counted, and
//! the count is written when it can be.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::record::{self, LogStream, PREFIX};
use super::{LogLimits, files};

/// How much is gathered for one write.
const BATCH: usize = 64 << 10;

/// Lines that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    records: u64,
    bytes: u64,
    since: Timestamp,
    reason: String,
}

/// The writer of one folder.
#[derive(Debug)]
pub(crate) struct LogWriter {
    dir: PathBuf,
    limits: LogLimits,
    file: Option<File>,
    size: u64,
    /// The starts of unfinished lines.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    dropped: Option<Dropped>,
}

impl LogWriter {
    /// Opens the folder, making it if need be; goes on behind what is there.
    pub fn open(dir: &Path, limits: LogLimits, dropped: Option<Dropped>) -> io::Result<Self> {
        let mut writer = Self {
            dir: dir.to_owned(),
            limits: limits.clamped(),
            file: None,
            size: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            dropped,
        };
        match writer.reopen() {
            // no room is no reason not to run: it is dropped and counted until there is some
            Err(error) if !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                Err(error)
            }
            _ => Ok(writer),
        }
    }

    /// Takes in what was read from one stream; how many bytes of log it made. `scratch` is lent, for its capacity.
    pub fn write(&mut self, stream: LogStream, chunk: &[u8], now: Timestamp, scratch: &mut Vec<u8>) -> usize {
        let stamp = record::stamp(now);
        let mut held = std::mem::take(self.held(stream));
        let mut batch = Batch::new(scratch);
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            self.line(stream, &mut held, text, ended, &stamp, now, &mut batch);
        }
        if held.is_empty() {
            held = Vec::new();
        }
        *self.held(stream) = held;
        self.flush(&mut batch, now);
        batch.made
    }

    /// Writes the lines whose newline has not come; as ended lines at the end of the workload, else
    /// as lines that go on.
    pub fn finish(&mut self, ended: bool, now: Timestamp, scratch: &mut Vec<u8>) {
        let stamp = record::stamp(now);
        let mut batch = Batch::new(scratch);
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let held = std::mem::take(self.held(stream));
            if !held.is_empty() {
                self.record(stream, &held, !ended, &stamp, now, &mut batch);
            }
        }
        self.flush(&mut batch, now);
    }

    /// Tries again to say that lines were dropped. True when nothing is left to say.
    pub fn retry(&mut self, now: Timestamp) -> bool {
        if self.dropped.is_some() {
            self.store(&[], 0, now);
        }
        self.dropped.is_none()
    }

    /// What a keeper that takes over must know.
    pub fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// Where it writes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How much it keeps.
    pub fn limits(&self) -> LogLimits {
        self.limits
    }

    fn held(&mut self, stream: LogStream) -> &mut Vec<u8> {
        if stream == LogStream::Stderr { &mut self.stderr } else { &mut self.stdout }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one pass over a chunk")]
    fn line(
        &mut self,
        stream: LogStream,
        held: &mut Vec<u8>,
        mut text: &[u8],
        ended: bool,
        stamp: &[u8; 24],
        now: Timestamp,
        batch: &mut Batch<'_>,
    ) {
        let limit = self.limits.line_bytes as usize;
        while held.len() + text.len() > limit {
            let (now_, later) = text.split_at(limit - held.len());
            if held.is_empty() {
                self.record(stream, now_, true, stamp, now, batch);
            } else {
                held.extend_from_slice(now_);
                self.record(stream, held, true, stamp, now, batch);
                held.clear();
            }
            text = later;
        }
        if !ended {
            held.extend_from_slice(text);
        } else if held.is_empty() {
            self.record(stream, text, false, stamp, now, batch);
        } else {
            held.extend_from_slice(text);
            self.record(stream, held, false, stamp, now, batch);
            held.clear();
        }
    }

    fn record(
        &mut self,
        stream: LogStream,
        text: &[u8],
        more: bool,
        stamp: &[u8; 24],
        now: Timestamp,
        batch: &mut Batch<'_>,
    ) {
        let length = PREFIX + text.len() + 1;
        if batch.out.len() + length > BATCH {
            self.flush(batch, now);
        }
        if self.size + (batch.out.len() + length) as u64 > self.limits.file_bytes {
            self.flush(batch, now);
            self.rotate();
        }
        record::append(batch.out, stamp, stream, text, more);
        batch.records += 1;
    }

    fn flush(&mut self, batch: &mut Batch<'_>, now: Timestamp) {
        if !batch.out.is_empty() {
            self.store(batch.out, batch.records, now);
            batch.made += batch.out.len();
            batch.out.clear();
            batch.records = 0;
        }
    }

    /// Writes whole records or none.
    fn store(&mut self, bytes: &[u8], records: u64, now: Timestamp) {
        let result = self.reopen().and_then(|()| match &self.dropped {
            // at once, or a disk with room for the note alone would fill up with notes
            Some(dropped) => self.append(&[&dropped.note(now), bytes].concat()),
            None => self.append(bytes),
        });
        let Err(error) = result else {
            self.dropped = None;
            return;
        };
        if records > 0 {
            let since = Dropped { records: 0, bytes: 0, since: now, reason: String::new() };
            let dropped = self.dropped.get_or_insert(since);
            dropped.records += records;
            dropped.bytes += bytes.len() as u64;
            dropped.reason = error.to_string();
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        if let Err(error) = file.write_all(bytes) {
            // a part may stand there: take it back, so that a file is whole records
            let _ = file.set_len(self.size);
            return Err(error);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let path = files::path(&self.dir, 0);
        let mut file = match files::open_append(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
                files::open_append(&path)?
            }
            other => other?,
        };
        let mut size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
        self.file = Some(file);
        self.size = size;
        Ok(())
    }

    /// Puts the file aside. When that fails the file is gone on with only if it must be: the next
    /// write tries to open a new one.
    fn rotate(&mut self) {
        if self.size == 0 {
            return;
        }
        for age in (0..self.limits.files.saturating_sub(1)).rev() {
            let _ = std::fs::rename(files::path(&self.dir, age), files::path(&self.dir, age + 1));
        }
        if self.limits.files == 1 {
            let _ = std::fs::remove_file(files::path(&self.dir, 0));
        }
        self.file = None;
        self.size = 0;
    }
}

/// Records on their way to the file.
struct Batch<'a> {
    out: &'a mut Vec<u8>,
    records: u64,
    /// How many bytes went there.
    made: usize,
}

impl<'a> Batch<'a> {
    const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, records: 0, made: 0 }
    }
}

impl Dropped {
    fn note(&self, now: Timestamp) -> Vec<u8> {
        let Self { records, bytes, since, reason } = self;
        let text = format!("{records} lines ({bytes} bytes) were dropped since {since}: {reason}");
        let mut out = Vec::new();
        record::append(&mut out, &record::stamp(now), LogStream::Keeper, text.as_bytes(), false);
        out
    }
}

#[cfg(test)]
mod tests;
