//! The last lines of a log, across rotated files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::files;
use super::record::{self, LogLine};

/// A file and how far it was read.
pub(super) type Place = (File, u64);

/// The last `lines` records of the log in `dir`, oldest first; none when nothing was written yet.
/// Reads as many files as it needs, whole (2 MiB each by default).
pub fn tail(dir: &Path, lines: usize) -> io::Result<Vec<LogLine>> {
    Ok(tail_with_place(dir, lines)?.0)
}

/// [`tail`], and where reading would go on: the newest file and the offset behind its last whole record.
pub(super) fn tail_with_place(dir: &Path, lines: usize) -> io::Result<(Vec<LogLine>, Option<Place>)> {
    let mut found: Vec<Vec<LogLine>> = Vec::new();
    let (mut count, mut place) = (0, None);
    for mut file in files::open_all(dir)? {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let records: Vec<&[u8]> =
            bytes[..whole].split_inclusive(|byte| *byte == b'\n').map(|r| &r[..r.len() - 1]).collect();
        let wanted = &records[records.len().saturating_sub(lines - count)..];
        count += wanted.len();
        found.push(wanted.iter().map(|r| record::parse(r)).collect());
        if place.is_none() {
            place = Some((file, whole as u64));
        }
        if count >= lines {
            break;
        }
    }
    Ok((found.into_iter().rev().flatten().collect(), place))
}
