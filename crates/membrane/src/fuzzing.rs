//! The parsers of what comes from outside, as functions of bytes: for the fuzz targets and their corpora, for nobody else.
//!
//! It starts nothing, and asks no keeper for anything.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use crate::log::{LogLine, record};
use crate::wire::frame::{Decoder, encode};
use crate::wire::{Call, Message, Request};

/// What a stream of frames was read as.
#[derive(Debug, PartialEq, Eq)]
pub struct Frames {
    /// Each whole frame: its payload, and how many descriptors it had.
    pub frames: Vec<(Vec<u8>, usize)>,
    /// The bytes of the unfinished frame, or why it ended.
    pub end: Result<Vec<u8>, String>,
}

/// Reads `stream` with so many descriptors before it, in pieces of `cut` bytes (0: at once).
pub fn frames(stream: &[u8], fds: u8, cut: u8) -> io::Result<Frames> {
    let null = File::open("/dev/null")?;
    let fds = (0..fds).map(|_| Ok(null.try_clone()?.into())).collect::<io::Result<Vec<OwnedFd>>>()?;
    let piece = if cut == 0 { stream.len().max(1) } else { usize::from(cut) };
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    let read = || {
        decoder.feed(&[], fds)?;
        for piece in stream.chunks(piece) {
            decoder.feed(piece, Vec::new())?;
            while let Some(frame) = decoder.next()? {
                frames.push((frame.payload, frame.fds.len()));
            }
        }
        Ok(decoder.rest().to_vec())
    };
    let end = read().map_err(|error: crate::wire::frame::FrameError| error.to_string());
    Ok(Frames { frames, end })
}

/// The bytes of one frame.
pub fn frame(payload: &[u8], fds: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode(payload, fds, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

/// Reads a payload as the keeper does: the request's id and call. Arguments that don't fit are an error.
pub fn request(payload: &[u8]) -> Result<(u64, String), String> {
    let Request { id, call, args } = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    Call::read(call.clone(), args).map_err(|e| e.to_string())?;
    Ok((id, call))
}

/// Reads a payload as a client does, and writes it again.
pub fn message(payload: &[u8]) -> Result<Vec<u8>, String> {
    let message: Message = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    serde_json::to_vec(&message).map_err(|e| e.to_string())
}

/// Reads one record of a log, without its newline.
#[must_use]
pub fn log_record(record: &[u8]) -> LogLine {
    record::parse(record)
}

/// The record of a line, without its newline.
#[must_use]
pub fn log_record_of(line: &LogLine) -> Vec<u8> {
    let mut out = Vec::new();
    record::append(&mut out, &record::stamp(line.at), line.stream, line.text.as_bytes(), line.more);
    out.pop();
    out
}
