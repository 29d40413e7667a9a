//! What is stored. Anything whose name isn't a digest's is somebody else's and not looked at.

use std::fs;
use std::time::SystemTime;

use types::Digest;

use crate::{Error, Repo};

/// One spore of the repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name: the SHA-256 its content had when it was stored.
    pub digest: Digest,
    /// The size of the file.
    pub bytes: u64,
    /// When it was last put.
    pub modified: SystemTime,
}

impl Repo {
    /// Every spore, by digest. What is in the files is not checked.
    pub fn list(&self) -> Result<Vec<Stored>, Error> {
        let dir = self.dir();
        let mut all = Vec::new();
        for entry in fs::read_dir(dir).map_err(Error::io("list the repo", dir))? {
            let entry = entry.map_err(Error::io("list the repo", dir))?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".spore")?.parse().ok());
            let Some(digest) = digest else { continue };
            // Gone since the folder was read: then it is not in the list.
            let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
            if meta.is_file() {
                let modified = meta.modified().map_err(Error::io("read", entry.path()))?;
                all.push(Stored { digest, bytes: meta.len(), modified });
            }
        }
        all.sort_by_key(|stored| stored.digest);
        Ok(all)
    }
}
