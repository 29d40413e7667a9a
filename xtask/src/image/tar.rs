//! Tar archives (POSIX.1-1988 ustar) of regular files and folders that belong to root, all of one time.

use std::io::{self, Write};

/// A tar archive consists of blocks of this size.
const BLOCK: usize = 512;

/// An archive that is being written.
pub struct Tar<W> {
    to: W,
    time: u64,
}

impl<W: Write> Tar<W> {
    /// An empty archive, in which everything was changed at `time`.
    pub fn new(to: W, time: u64) -> Self {
        Self { to, time }
    }

    /// A regular file at a relative path.
    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.header(path, mode, bytes.len(), b'0')?;
        self.to.write_all(bytes)?;
        self.to.write_all(&[0; BLOCK][..bytes.len().next_multiple_of(BLOCK) - bytes.len()])
    }

    /// A folder at a relative path.
    pub fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.header(&format!("{path}/"), mode, 0, b'5')
    }

    /// Ends the archive.
    pub fn end(mut self) -> io::Result<W> {
        self.to.write_all(&[0; 2 * BLOCK])?;
        Ok(self.to)
    }

    fn header(&mut self, path: &str, mode: u32, size: usize, kind: u8) -> io::Result<()> {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        if path.len() > 100 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path}: the path is too long")));
        }
        put(0, path.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000");
        put(116, b"0000000");
        put(124, format!("{size:011o}").as_bytes());
        put(136, format!("{:011o}", self.time).as_bytes());
        // While it is summed up, the sum itself counts as spaces.
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.to.write_all(&header)
    }
}
