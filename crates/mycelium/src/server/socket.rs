//! The socket: bound beside its final name and renamed over it, so that it is never there half made.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::paths::by_descriptor;

/// A listening socket of mode 0600; its name is removed with it, unless a successor has taken it.
pub(crate) struct ApiSocket {
    path: PathBuf,
    inode: u64,
}

impl ApiSocket {
    /// Binds `path`, taking over from whatever a dead process left there. The caller holds the state lock.
    pub(crate) fn bind(path: &Path) -> io::Result<(Self, UnixListener)> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let dir = File::open(dir)?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let short = by_descriptor(&dir, &temporary);
        let _ = std::fs::remove_file(&short);
        let listener = UnixListener::bind(&short)?;
        std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&short, by_descriptor(&dir, name))?;
        Ok((Self { path: path.to_owned(), inode: inode(path)? }, listener))
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::symlink_metadata(path)?.ino())
}
