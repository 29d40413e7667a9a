//! Reading the structure of a bundle: the end, the central directory, every local header.
//!
//! Allocates no more than the bounds allow, and never more than the file itself has.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::header::{
    CENTRAL_BYTES, END_BYTES, LOCAL_BYTES, Tail, check_central, check_end, check_local, number,
};
use super::{BINARY, Entry, FILES, FormatError, MANIFEST};
use crate::SporeError;
use crate::bounds::{MAX_CONTENT_BYTES, MAX_FILES, MAX_MANIFEST_BYTES, MAX_PATH_BYTES, MAX_SPORE_BYTES};
use crate::path::path_problem;

/// The most entries: the manifest, the program, and its files.
const MAX_ENTRIES: usize = 2 + MAX_FILES;
/// The most bytes of a central directory whose names are within bounds.
const MAX_DIRECTORY: usize = MAX_ENTRIES * (CENTRAL_BYTES + FILES.len() + MAX_PATH_BYTES);

/// Reads and checks the structure of a bundle of `size` bytes; no content is read.
pub(crate) fn read(file: &File, size: u64) -> Result<Vec<Entry>, SporeError> {
    if !(END_BYTES as u64..=MAX_SPORE_BYTES).contains(&size) {
        return Err(FormatError::Size(size).into());
    }
    let tail = end(file, size)?;
    let mut directory = vec![0; tail.size as usize];
    file.read_exact_at(&mut directory, u64::from(tail.offset)).map_err(SporeError::Read)?;
    let entries = central(&directory, tail)?;
    let mut header = Vec::new();
    for entry in &entries {
        header.resize(LOCAL_BYTES + entry.name.len(), 0);
        file.read_exact_at(&mut header, entry.offset.into()).map_err(SporeError::Read)?;
        let (fields, name) = header.split_at(LOCAL_BYTES);
        check_local(entry, fields)?;
        if name != entry.name.as_bytes() {
            let found = String::from_utf8_lossy(name).into_owned();
            return Err(FormatError::LocalName { name: entry.name.clone(), found }.into());
        }
    }
    Ok(entries)
}

/// The last 22 bytes, which must be the record that says where the directory is, and be right.
fn end(file: &File, size: u64) -> Result<Tail, SporeError> {
    let mut record = [0; END_BYTES];
    let at = size - END_BYTES as u64;
    file.read_exact_at(&mut record, at).map_err(SporeError::Read)?;
    let (entries, stated) = (number(&record, 10, 2), number(&record, 12, 4));
    // What the record says of the directory's size decides where it begins; the rest must agree.
    let offset = u32::try_from(at.saturating_sub(u64::from(stated))).expect("the file is under 4 GiB");
    let tail = Tail { entries, size: stated, offset };
    check_end(tail, &record)?;
    if !(2..=MAX_ENTRIES).contains(&(entries as usize)) {
        return Err(FormatError::Count(entries as usize).into());
    }
    if u64::from(stated) > at || stated as usize > MAX_DIRECTORY {
        return Err(FormatError::DirectorySize { stated }.into());
    }
    Ok(tail)
}

/// The entries of a central directory, each where the one before it ends.
fn central(directory: &[u8], tail: Tail) -> Result<Vec<Entry>, FormatError> {
    let misfit = FormatError::DirectorySize { stated: tail.size };
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = directory;
    let mut offset = 0;
    for index in 0..tail.entries as usize {
        let (record, after) = rest.split_at_checked(CENTRAL_BYTES).ok_or_else(|| misfit.clone())?;
        let length = number(record, 28, 2) as usize;
        let (name, after) = after.split_at_checked(length).ok_or_else(|| misfit.clone())?;
        rest = after;
        let name = checked_name(index, name, entries.last())?;
        let entry = Entry { name, crc: number(record, 16, 4), size: number(record, 24, 4), offset };
        check_central(&entry, record)?;
        check_size(index, &entry)?;
        let end = entry.end();
        offset = u32::try_from(end)
            .ok()
            .filter(|end| *end <= tail.offset)
            .ok_or(FormatError::Gap { end, directory: tail.offset.into() })?;
        entries.push(entry);
    }
    if !rest.is_empty() {
        return Err(misfit);
    }
    if offset != tail.offset {
        return Err(FormatError::Gap { end: offset.into(), directory: tail.offset.into() });
    }
    Ok(entries)
}

/// The name of entry `index`, if it may stand there.
fn checked_name(index: usize, bytes: &[u8], before: Option<&Entry>) -> Result<String, FormatError> {
    let refused = |problem| {
        let name = String::from_utf8_lossy(bytes).into_owned();
        Err(FormatError::Name { index, name, problem })
    };
    let Ok(name) = std::str::from_utf8(bytes) else { return refused("not UTF-8") };
    match index {
        0 if name != MANIFEST => return refused("the first must be \"manifest.json\""),
        1 if name != BINARY => return refused("the second must be \"binary\""),
        0 | 1 => return Ok(name.to_owned()),
        _ => {}
    }
    let before = before.map_or("", |entry| entry.name.as_str());
    if name == before || name == MANIFEST || name == BINARY {
        return refused("a name stands twice");
    }
    let Some(path) = name.strip_prefix(FILES) else {
        return refused("only \"files/…\" may follow the binary");
    };
    if let Some(problem) = path_problem(path) {
        return refused(problem);
    }
    if before.starts_with(FILES) && name < before {
        return refused("names must be in byte order");
    }
    Ok(name.to_owned())
}

fn check_size(index: usize, entry: &Entry) -> Result<(), FormatError> {
    let most = if index == 0 { MAX_MANIFEST_BYTES } else { MAX_CONTENT_BYTES };
    match (index, u64::from(entry.size)) {
        (1, 0) => Err(FormatError::Empty(BINARY)),
        (_, size) if size > most => Err(FormatError::TooLarge { name: entry.name.clone(), size, most }),
        _ => Ok(()),
    }
}
