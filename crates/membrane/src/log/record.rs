//! One record of a log file: written by the keeper, parsed by readers. Pure text handling.

use std::io::Write;

use serde::Serialize;
use types::Timestamp;

/// Bytes before the text: time, space, stream, space or `+`.
pub(super) const PREFIX: usize = 24 + 1 + 3 + 1;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// The workload, to its standard output.
    Stdout,
    /// The workload, to its standard error.
    Stderr,
    /// The keeper, about the log itself.
    Keeper,
}

impl LogStream {
    fn tag(self) -> &'static [u8; 3] {
        match self {
            Self::Stdout => b"out",
            Self::Stderr => b"err",
            Self::Keeper => b"---",
        }
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When the keeper read it.
    pub at: Timestamp,
    /// Who wrote it.
    pub stream: LogStream,
    /// What, without the newline; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The line goes on in the next one of the same stream: print no newline behind it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// The time as each record of it is written, always of the same length.
pub(crate) fn stamp(at: Timestamp) -> [u8; 24] {
    let mut text = *b"1970-01-01T00:00:00.000Z";
    // exactly 24 bytes for every time a Timestamp can hold
    let _ = write!(&mut text[..], "{}", humantime::format_rfc3339_millis(at.into()));
    text
}

/// Appends one record to `out`.
pub(crate) fn append(out: &mut Vec<u8>, stamp: &[u8; 24], stream: LogStream, text: &[u8], more: bool) {
    out.extend_from_slice(stamp);
    out.push(b' ');
    out.extend_from_slice(stream.tag());
    out.push(if more { b'+' } else { b' ' });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Reads one record, without its newline. What is none (a file torn by a power cut, or written by
/// somebody else) comes back whole, as the keeper's, so that nothing is hidden.
pub(crate) fn parse(record: &[u8]) -> LogLine {
    parse_strict(record).unwrap_or_else(|| LogLine {
        at: Timestamp::default(),
        stream: LogStream::Keeper,
        text: String::from_utf8_lossy(record).into_owned(),
        more: false,
    })
}

fn parse_strict(record: &[u8]) -> Option<LogLine> {
    let (head, text) = record.split_at_checked(PREFIX)?;
    let at = std::str::from_utf8(&head[..24]).ok()?.parse().ok()?;
    let stream = match &head[24..28] {
        b" out" => LogStream::Stdout,
        b" err" => LogStream::Stderr,
        b" ---" => LogStream::Keeper,
        _ => return None,
    };
    let more = match head[28] {
        b' ' => false,
        b'+' => true,
        _ => return None,
    };
    Some(LogLine { at, stream, text: String::from_utf8_lossy(text).into_owned(), more })
}
