//! The logs of workloads: what stands in a replica's log folder, and who writes and reads it.
//!
//! A folder holds `log`, the file being written, and `log.1`, `log.2`, … the ones before it, the
//! highest number the oldest. A file is lines of UTF-8 (as far as the workload wrote UTF-8):
//!
//! ```text
//! 2026-01-01T00:00:00.123Z out a line the workload wrote to stdout
//! 2026-01-01T00:00:00.124Z err one it wrote to stderr
//! 2026-01-01T00:00:00.125Z out+the first 16 KiB of a line that goes on in the next record of its stream
//! 2026-01-01T00:00:00.126Z --- 12 lines (840 bytes) were dropped since …: No space left on device
//! ```
//!
//! that is a time in UTC with milliseconds (24 bytes), a space, the stream (3 bytes; `---` is the
//! keeper speaking), a space or `+`, the text, a newline. The keeper is the only writer; readers need
//! no word with it. A file that can't be written makes lines dropped and counted, never a workload wait; whoever writes
//! faster than [`LogLimits::rate`] waits, and loses nothing.

mod files;
mod follow;
pub(crate) mod record;
mod tail;
mod writer;

pub use follow::{Follow, Followed};
pub use record::{LogLine, LogStream};
pub use tail::tail;
pub(crate) use writer::{Dropped, LogWriter};

use serde::{Deserialize, Serialize};

/// How much of a replica's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogLimits {
    /// The size at which a file is put aside.
    pub file_bytes: u64,
    /// How many files there are, the one being written included.
    pub files: u32,
    /// The length at which a line is cut into several records.
    pub line_bytes: u32,
    /// How many bytes of log a second are written in the long run, with what stands before each line.
    pub rate: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { file_bytes: 2 << 20, files: 5, line_bytes: 16 << 10, rate: 8 << 20 }
    }
}

impl LogLimits {
    /// The same where so many bytes are kept; 0 changes nothing.
    pub(crate) fn keeping(self, bytes: u64) -> Self {
        match bytes {
            0 => self,
            bytes => Self { file_bytes: bytes / u64::from(self.files.max(1)), ..self }.clamped(),
        }
    }

    /// The limits with each one in the range the writer can keep.
    #[must_use]
    pub fn clamped(self) -> Self {
        let line_bytes = self.line_bytes.clamp(64, 64 << 10);
        Self {
            line_bytes,
            file_bytes: self.file_bytes.clamp(2 * u64::from(line_bytes), 1 << 40),
            files: self.files.clamp(1, 100),
            rate: self.rate.clamp(1 << 10, 1 << 40),
        }
    }
}
