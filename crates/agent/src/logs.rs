//! Logs of replicas that are gone: the newest stay for whoever asks why, the rest leave, so that a machine that
//! deploys for years doesn't fill its disk with them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use types::ReplicaName;

/// So many replicas of an app keep their logs on a node after they ended; each has a bound of its own.
const KEPT: usize = 10;

/// Removes from `dir`, which holds the logs of a node by replica, those of the app of `ended` that are neither
/// of a `live` replica nor among the newest.
pub(crate) fn sweep(dir: &Path, ended: &ReplicaName, live: &BTreeSet<ReplicaName>) -> io::Result<()> {
    let mut old: Vec<(SystemTime, PathBuf)> = Vec::new();
    let entries = match fs::read_dir(dir) {
        // Nobody has logged yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| ReplicaName::new(name).ok());
        if name.is_some_and(|name| name.stem() == ended.stem() && !live.contains(&name)) {
            old.push((written(&path), path));
        }
    }
    old.sort_unstable_by(|one, other| other.cmp(one));
    old.iter().skip(KEPT).try_for_each(|(_, path)| fs::remove_dir_all(path))
}

/// When the newest file of a folder was written; long ago when that can't be told.
fn written(folder: &Path) -> SystemTime {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(text: &str) -> ReplicaName {
        ReplicaName::new(text).unwrap()
    }

    #[test]
    fn the_newest_the_live_and_those_of_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let add = |replica: &str, age: u64| {
            fs::create_dir(dir.path().join(replica)).unwrap();
            let file = fs::File::create(dir.path().join(replica).join("log")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
        };
        (0..15).for_each(|age| add(&format!("billing-{age:05}"), age));
        (0..15).for_each(|age| add(&format!("billing-api-{age:05}"), age));
        fs::create_dir(dir.path().join("billing-empty")).unwrap();
        let live = BTreeSet::from([name("billing-00014"), name("billing-00000")]);
        sweep(dir.path(), &name("billing-00001"), &live).unwrap();
        let left: BTreeSet<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        let ours = (0..=10).chain([14]).map(|age| format!("billing-{age:05}"));
        let others = (0..15).map(|age| format!("billing-api-{age:05}"));
        assert_eq!(left, ours.chain(others).collect());
    }
}
