//! The fabric's journal on disk: redb, one table of records by key.

use std::io;
use std::path::{Path, PathBuf};

use fabric::{Journal, Write};
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Records are small and few are read again: the page cache of the system does the rest.
const CACHE_BYTES: usize = 1 << 20;

/// An open journal; no other process can open it meanwhile.
pub(crate) struct RedbJournal {
    /// Nothing after a failed write: redb refuses everything from then on, until it is opened again.
    database: Option<Database>,
    path: PathBuf,
    /// What was written and not synced: a database that is opened again may have lost it.
    unsynced: Vec<Write>,
}

/// Key and value of one stored record.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

impl RedbJournal {
    /// Opens or creates the journal and reads all of it. A torn last write is rolled back by redb.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Pair>)> {
        let database = open(path)?;
        let transaction = database.begin_write().map_err(other)?;
        transaction.open_table(RECORDS).map_err(other)?;
        transaction.commit().map_err(other)?;
        let pairs = read(&database)?;
        Ok((Self { database: Some(database), path: path.to_owned(), unsynced: Vec::new() }, pairs))
    }

    fn try_write(&mut self, batch: &[Write], durable: bool) -> io::Result<()> {
        let mut again = [].as_slice();
        if self.database.is_none() {
            self.database = Some(open(&self.path)?);
            again = &self.unsynced;
        }
        let database = self.database.as_ref().expect("it was opened above");
        let mut transaction = database.begin_write().map_err(other)?;
        let durability = if durable { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(other)?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(other)?;
            for write in again.iter().chain(batch) {
                match write {
                    Write::Put { key, value } => table.insert(key.as_slice(), value.as_slice()).map(drop),
                    Write::Delete { key } => table.remove(key.as_slice()).map(drop),
                }
                .map_err(other)?;
            }
        }
        transaction.commit().map_err(other)
    }
}

impl Journal for RedbJournal {
    fn write(&mut self, batch: &[Write], durable: bool) -> io::Result<()> {
        if let Err(error) = self.try_write(batch, durable) {
            self.database = None;
            return Err(io::Error::new(error.kind(), format!("{}: {error}", self.path.display())));
        }
        if durable {
            self.unsynced = Vec::new();
        } else {
            self.unsynced.extend_from_slice(batch);
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Database> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(other)
}

fn read(database: &Database) -> io::Result<Vec<Pair>> {
    let transaction = database.begin_read().map_err(other)?;
    let table = transaction.open_table(RECORDS).map_err(other)?;
    let pairs = table.iter().map_err(other)?;
    pairs
        .map(|pair| pair.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(other))
        .collect()
}

fn other(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(e) => e,
        e => io::Error::other(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn put(key: &str, value: &str) -> Write {
        Write::Put { key: key.into(), value: value.into() }
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fabric.redb");
        let (mut journal, pairs) = RedbJournal::open(&path).unwrap();
        assert!(pairs.is_empty());
        journal.write(&[put("a", "1"), put("b", "2")], false).unwrap();
        journal.write(&[put("a", "3"), Write::Delete { key: b"b".to_vec() }], true).unwrap();
        drop(journal);
        let (_, pairs) = RedbJournal::open(&path).unwrap();
        assert_eq!(pairs, [(b"a".to_vec(), b"3".to_vec())]);
    }

    /// A file on a disk that may become full: then nothing can be synced.
    #[derive(Debug)]
    struct Limited(redb::backends::FileBackend, Arc<AtomicBool>);

    impl redb::StorageBackend for Limited {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            if self.1.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
        fn close(&self) -> io::Result<()> {
            self.0.close()
        }
    }

    #[test]
    fn a_journal_goes_on_when_the_disk_has_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fabric.redb");
        let (mut journal, _) = RedbJournal::open(&path).unwrap();
        journal.database = None;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let limited = Limited(redb::backends::FileBackend::new(file).unwrap(), full.clone());
        journal.database = Some(Database::builder().create_with_backend(limited).unwrap());
        journal.write(&[put("a", "not synced")], false).unwrap();
        full.store(true, Ordering::Relaxed);
        let error = journal.write(&[put("b", "1")], true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        journal.write(&[put("b", "1")], true).unwrap();
        drop(journal);
        let (_, pairs) = RedbJournal::open(&path).unwrap();
        assert_eq!(pairs, [(b"a".to_vec(), b"not synced".to_vec()), (b"b".to_vec(), b"1".to_vec())]);
    }

    #[test]
    fn a_second_owner_and_a_foreign_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fabric.redb");
        let _held = RedbJournal::open(&path).unwrap();
        assert!(RedbJournal::open(&path).is_err());
        let garbage = dir.path().join("garbage");
        std::fs::write(&garbage, vec![7; 8192]).unwrap();
        assert!(RedbJournal::open(&garbage).is_err());
    }
}
