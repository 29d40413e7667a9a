//! Removing fetches that nobody goes on with.

use std::fs::{self, File};
use std::io;
use std::time::{Duration, SystemTime};

use types::Digest;

use super::{data_path, journal_path};
use crate::temp::is_at;
use crate::{Error, Repo};

/// How long a fetch that nobody goes on with is kept, even of a spore that is needed.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes what was fetched in part and nobody is fetching: after `min_age` what `keep` doesn't want, after a day the
/// rest.
pub fn sweep(repo: &Repo, keep: &dyn Fn(&Digest) -> bool, min_age: Duration) -> Result<(), Error> {
    let dir = repo.dir();
    let now = SystemTime::now();
    for entry in fs::read_dir(dir).map_err(Error::io("list the repo", dir))? {
        let entry = entry.map_err(Error::io("list the repo", dir))?;
        let name = entry.file_name();
        let digest = name.to_str().and_then(|name| {
            name.strip_suffix(".partial").or_else(|| name.strip_suffix(".pieces"))?.parse().ok()
        });
        let Some(digest) = digest else { continue };
        let patience = if keep(&digest) { STALE.max(min_age) } else { min_age };
        // gone since the folder was read: then there is nothing to do
        let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
        let modified = meta.modified().map_err(Error::io("read", entry.path()))?;
        if now.duration_since(modified).is_ok_and(|age| age >= patience) {
            remove(repo, &digest)?;
        }
    }
    Ok(())
}

/// Removes both files, unless somebody is writing them.
fn remove(repo: &Repo, digest: &Digest) -> Result<(), Error> {
    let (data, journal) = (data_path(repo.dir(), digest), journal_path(repo.dir(), digest));
    let lock = match File::open(&data) {
        Ok(file) if file.try_lock().is_ok() && is_at(&file, &data).unwrap_or(false) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => return Ok(()),
    };
    for path in [&data, &journal] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove the unfinished", path)(error));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(())
}
