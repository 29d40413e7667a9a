//! Extraction: writing what is being checked into a new folder, and taking it away when it lied.
//!
//! What is hashed is what is run: the bytes written are the very bytes hashed, and the descriptor
//! handed out is of the inode they were written to, opened before anybody else could reach it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use types::Digest;

use crate::archive::{BINARY, Entry};
use crate::path::ancestors;
use crate::stream::{self, Sink};
use crate::{Spore, SporeError};

/// No one's to write: a running program's file can't be anyway, and its data shouldn't.
const FILE_MODE: u32 = 0o444;
const PROGRAM_MODE: u32 = 0o555;
const FOLDER_MODE: u32 = 0o755;

/// A spore on disk, checked and ready to run.
#[derive(Debug)]
pub struct Extracted {
    /// The folder, absolute if the one asked for was.
    pub dir: PathBuf,
    /// The program in it, under its `command` name.
    pub program: PathBuf,
    /// A read-only descriptor of the program's inode, the one whose bytes were hashed: for `execveat`.
    pub executable: File,
}

/// Checks `spore` and writes it into `into`.
pub(crate) fn extract(
    spore: &Spore,
    expected: Option<&Digest>,
    into: &Path,
) -> Result<Extracted, SporeError> {
    let mut folder = Folder::create(into, &spore.manifest().command)?;
    stream::check(spore, expected, &mut folder)?;
    folder.keep()
}

/// A folder being filled; removed with all it holds unless it is kept.
struct Folder {
    dir: PathBuf,
    command: String,
    made: BTreeSet<String>,
    current: Option<(PathBuf, File)>,
    executable: Option<File>,
    kept: bool,
}

impl Folder {
    fn create(dir: &Path, command: &str) -> Result<Self, SporeError> {
        match make_folder(dir) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SporeError::Exists(dir.to_owned()));
            }
            Err(source) => return Err(SporeError::Write { path: dir.to_owned(), source }),
        }
        let (dir, command) = (dir.to_owned(), command.to_owned());
        Ok(Self { dir, command, made: BTreeSet::new(), current: None, executable: None, kept: false })
    }

    /// Makes the folders above `name` that aren't there yet.
    fn make_way(&mut self, name: &str) -> Result<(), SporeError> {
        for ancestor in ancestors(name) {
            if !self.made.contains(ancestor) {
                let path = self.dir.join(ancestor);
                make_folder(&path).map_err(|source| SporeError::Write { path, source })?;
                self.made.insert(ancestor.to_owned());
            }
        }
        Ok(())
    }

    fn keep(mut self) -> Result<Extracted, SporeError> {
        let executable = self.executable.take().expect("a spore always holds a program");
        self.kept = true;
        Ok(Extracted { dir: self.dir.clone(), program: self.dir.join(&self.command), executable })
    }
}

impl Sink for Folder {
    fn begin(&mut self, entry: &Entry) -> Result<(), SporeError> {
        self.make_way(&entry.name)?;
        let is_program = entry.name == BINARY;
        let path = self.dir.join(if is_program { &self.command } else { &entry.name });
        let mode = if is_program { PROGRAM_MODE } else { FILE_MODE };
        let file = create(&path, mode).map_err(|source| SporeError::Write { path: path.clone(), source })?;
        if is_program {
            let reader = reopen(&path, &file);
            self.executable =
                Some(reader.map_err(|source| SporeError::Write { path: path.clone(), source })?);
        }
        self.current = Some((path, file));
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), SporeError> {
        let (path, file) = self.current.as_ref().expect("begin comes before write_at");
        file.write_all_at(bytes, at).map_err(|source| SporeError::Write { path: path.clone(), source })
    }

    fn end(&mut self) -> Result<(), SporeError> {
        self.current = None;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // The error that brought us here matters more than one met while tidying up.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    // The mode asked for is cut by the umask; the mode a workload finds must not depend on it.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

/// A read-only descriptor of the inode that `writer` has open at `path`.
fn reopen(path: &Path, writer: &File) -> io::Result<File> {
    let own = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let reader = match File::open(own) {
        // Without /proc, by name; whether it still names the same inode is checked below.
        Err(e) if e.kind() == io::ErrorKind::NotFound => File::open(path)?,
        opened => opened?,
    };
    let (ours, theirs) = (writer.metadata()?, reader.metadata()?);
    if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
        return Err(io::Error::other("somebody replaced the file while it was being written"));
    }
    Ok(reader)
}

#[cfg(test)]
mod tests;
