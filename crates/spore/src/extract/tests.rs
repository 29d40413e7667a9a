use super::*;

#[test]
fn a_folder_that_is_not_kept_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("run");
    let mut folder = Folder::create(&dir, "billing").unwrap();
    let entry = Entry { name: "files/a/b/c".to_owned(), crc: 0, size: 1, offset: 0 };
    folder.begin(&entry).unwrap();
    folder.write_at(b"x", 0).unwrap();
    assert!(dir.join("files/a/b/c").exists());
    drop(folder);
    assert!(!dir.exists());
}

#[test]
fn a_folder_that_was_there_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let error = Folder::create(temp.path(), "billing").err().unwrap();
    assert!(matches!(error, SporeError::Exists(_)), "{error}");
    assert!(temp.path().exists());
}

#[test]
fn the_reader_is_of_the_very_inode_or_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("program");
    let writer = create(&path, PROGRAM_MODE).unwrap();
    let reader = reopen(&path, &writer).unwrap();
    assert_eq!(reader.metadata().unwrap().ino(), writer.metadata().unwrap().ino());
    fs::remove_file(&path).unwrap();
    let reader = reopen(&path, &writer).unwrap();
    assert_eq!(reader.metadata().unwrap().ino(), writer.metadata().unwrap().ino(), "by inode, not by name");
}
