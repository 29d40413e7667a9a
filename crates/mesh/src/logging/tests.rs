use super::*;

#[test]
fn a_full_log_makes_room_and_keeps_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mesh.log");
    let mut log = Rotating::open(&path).unwrap();
    let line = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        log.write(&line).unwrap();
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert_eq!(size(&path), 2 << 20);
    assert_eq!(size(&dir.path().join("mesh.log.1")), 4 << 20);
}

#[test]
fn a_change_of_files_that_failed_half_way_is_finished_by_the_next_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mesh.log");
    let mut log = Rotating::open(&path).unwrap();
    log.write(&vec![b'x'; 4 << 20]).unwrap();
    fs::rename(&path, dir.path().join("mesh.log.1")).unwrap();
    log.write(b"goes on").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"goes on");
}
