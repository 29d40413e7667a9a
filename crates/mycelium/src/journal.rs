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
    database: Database,
    path: PathBuf,
}

/// Key and value of one stored record.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

impl RedbJournal {
    /// Opens or creates the journal and reads all of it. A torn last write is rolled back by redb.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Pair>)> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(other)?;
        let journal = Self { database, path: path.to_owned() };
        let transaction = journal.database.begin_write().map_err(other)?;
        transaction.open_table(RECORDS).map_err(other)?;
        transaction.commit().map_err(other)?;
        let pairs = journal.read()?;
        Ok((journal, pairs))
    }

    fn read(&self) -> io::Result<Vec<Pair>> {
        let transaction = self.database.begin_read().map_err(other)?;
        let table = transaction.open_table(RECORDS).map_err(other)?;
        let pairs = table.iter().map_err(other)?;
        pairs
            .map(|pair| {
                pair.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(other)
            })
            .collect()
    }
}

impl Journal for RedbJournal {
    fn write(&mut self, batch: &[Write], durable: bool) -> io::Result<()> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", self.path.display()));
        let mut transaction = self.database.begin_write().map_err(|e| named(other(e)))?;
        let durability = if durable { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(|e| named(other(e)))?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(|e| named(other(e)))?;
            for write in batch {
                match write {
                    Write::Put { key, value } => table.insert(key.as_slice(), value.as_slice()).map(drop),
                    Write::Delete { key } => table.remove(key.as_slice()).map(drop),
                }
                .map_err(|e| named(other(e)))?;
            }
        }
        transaction.commit().map_err(|e| named(other(e)))
    }
}

fn other(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(e) => e,
        e => io::Error::other(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
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
