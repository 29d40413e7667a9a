//! An archive as the kernel unpacks it into its first file system: "newc" cpio (`driver-api/early-userspace/buffer-format`).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An archive in memory.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    known: BTreeSet<PathBuf>,
}

impl Archive {
    /// A folder, and those above it.
    pub fn folder(&mut self, path: &Path) -> Result<()> {
        if path.parent().is_none() || self.known.contains(path) {
            return Ok(());
        }
        self.entry(path, FOLDER | 0o755, &[])
    }

    /// A file with this text.
    pub fn text(&mut self, path: &str, mode: u32, text: &str) -> Result<()> {
        self.entry(Path::new(path), FILE | mode, text.as_bytes())
    }

    /// A copy of a file of this machine.
    pub fn file(&mut self, path: &Path, from: &Path) -> Result<()> {
        let read = || -> std::io::Result<_> { Ok((std::fs::read(from)?, std::fs::metadata(from)?)) };
        let (bytes, data) = read().with_context(|| format!("reading {}", from.display()))?;
        self.entry(path, FILE | data.permissions().mode() & 0o7777, &bytes)
    }

    /// A link to an absolute path.
    pub fn link(&mut self, path: &Path, to: &Path) -> Result<()> {
        self.entry(path, LINK | 0o777, to.as_os_str().as_encoded_bytes())
    }

    /// A file or folder of this machine with all that is in it, at the same place.
    pub fn tree(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            return self.file(path, path);
        }
        self.folder(path)?;
        for entry in std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
            self.tree(&entry?.path())?;
        }
        Ok(())
    }

    /// The archive, ended.
    pub fn end(mut self) -> Vec<u8> {
        self.write("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<()> {
        ensure!(path.is_absolute(), "{} is no absolute path", path.display());
        let name = path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))?;
        u32::try_from(content.len()).with_context(|| format!("{name} is too large"))?;
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        if self.known.insert(path.to_owned()) {
            self.write(name.trim_start_matches('/'), mode, content);
        }
        Ok(())
    }

    /// Number, mode, owner, group, links, time, size, four device numbers, length of the name, no checksum; then name and content,
    /// each filled up to four bytes.
    fn write(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            u32::try_from(content.len()).expect("checked by the caller"),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).expect("a path is short"),
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("memory takes it");
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.fill();
        self.bytes.extend(content);
        self.fill();
    }

    fn fill(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_folder_before_what_is_in_it_and_nothing_twice() {
        let mut archive = Archive::default();
        archive.text("/a/b/c", 0o644, "hello").unwrap();
        archive.text("/a/b/d", 0o755, "").unwrap();
        archive.folder(Path::new("/a/b")).unwrap();
        archive.link(Path::new("/l"), Path::new("/a")).unwrap();
        assert!(archive.text("relative", 0o644, "").is_err());
        let bytes = archive.end();
        assert_eq!(bytes.len() % 4, 0);
        let mut names = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            assert!(rest.starts_with(b"070701"));
            let field = |n: usize| {
                let text = std::str::from_utf8(&rest[6 + 8 * n..14 + 8 * n]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (size, length) = (field(6), field(11));
            names.push(String::from_utf8(rest[110..110 + length - 1].to_vec()).unwrap());
            rest = &rest[(110 + length).next_multiple_of(4) + size.next_multiple_of(4)..];
        }
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d", "l", "TRAILER!!!"]);
    }
}
