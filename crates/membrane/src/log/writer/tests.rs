use proptest::prelude::*;

use super::*;
use crate::log::{LogLine, tail};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis)
}

fn limits(file_bytes: u64, files: u32, line_bytes: u32) -> LogLimits {
    LogLimits { file_bytes, files, line_bytes, ..LogLimits::default() }
}

/// The lines of one stream, put together again.
fn joined(lines: &[LogLine], stream: LogStream) -> String {
    let ours = lines.iter().filter(|line| line.stream == stream);
    ours.map(|line| line.text.clone() + if line.more { "" } else { "\n" }).collect()
}

#[test]
fn writes_the_documented_format() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(&dir.path().join("a/b"), LogLimits::default(), None).unwrap();
    let mut scratch = Vec::new();
    log.write(LogStream::Stdout, b"one\ntw", at(123), &mut scratch);
    log.write(LogStream::Stderr, b"oops\n\n", at(1000), &mut scratch);
    log.write(LogStream::Stdout, b"o\nrest", at(1001), &mut scratch);
    log.finish(true, at(1002), &mut scratch);
    let text = std::fs::read_to_string(dir.path().join("a/b/log")).unwrap();
    assert_eq!(
        text,
        "2026-01-01T00:00:00.123Z out one\n2026-01-01T00:00:01.000Z err oops\n\
         2026-01-01T00:00:01.000Z err \n2026-01-01T00:00:01.001Z out two\n\
         2026-01-01T00:00:01.002Z out rest\n"
    );
    let last = tail(&dir.path().join("a/b"), 2).unwrap();
    assert_eq!((last[1].text.as_str(), last[1].at, last[0].text.as_str()), ("rest", at(1002), "two"));
}

#[test]
fn cuts_long_lines_and_keeps_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(dir.path(), limits(1 << 20, 3, 64), None).unwrap();
    let mut scratch = Vec::new();
    for _ in 0..1000 {
        log.write(LogStream::Stdout, &[b'x'; 100], at(0), &mut scratch);
        assert!(log.stdout.len() <= 64 && log.stdout.capacity() <= 256);
    }
    log.write(LogStream::Stdout, b"\n", at(0), &mut scratch);
    assert_eq!(log.stdout.capacity(), 0);
    assert_eq!(joined(&tail(dir.path(), usize::MAX).unwrap(), LogStream::Stdout), "x".repeat(100_000) + "\n");
}

#[test]
fn rotates_and_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(dir.path(), limits(1000, 3, 64), None).unwrap();
    let mut scratch = Vec::new();
    for number in 0..500 {
        log.write(LogStream::Stdout, format!("line {number}\n").as_bytes(), at(number), &mut scratch);
    }
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["log", "log.1", "log.2"]);
    for name in names {
        assert!(dir.path().join(name).metadata().unwrap().len() <= 1000);
    }
    let lines = tail(dir.path(), usize::MAX).unwrap();
    let numbers: Vec<_> = lines.iter().map(|line| line.text.clone()).collect();
    let first = 500 - numbers.len();
    assert!(numbers.len() > 50);
    assert_eq!(numbers, (first..500).map(|n| format!("line {n}")).collect::<Vec<_>>());
    assert_eq!(tail(dir.path(), 40).unwrap(), lines[lines.len() - 40..]);
}

#[test]
fn goes_on_behind_a_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("log"), "2026-01-01T00:00:00.000Z out whole\n2026-01-01T00:0").unwrap();
    let mut log = LogWriter::open(dir.path(), LogLimits::default(), None).unwrap();
    log.write(LogStream::Stdout, b"new\n", at(0), &mut Vec::new());
    let lines = tail(dir.path(), 10).unwrap();
    let read: Vec<_> = lines.iter().map(|line| (line.stream, line.text.as_str())).collect();
    let expected =
        [(LogStream::Stdout, "whole"), (LogStream::Keeper, "2026-01-01T00:0"), (LogStream::Stdout, "new")];
    assert_eq!(read, expected);
}

/// A folder in which nothing can be made stands for a disk without room: the writer treats both alike.
#[test]
fn drops_counts_and_says_so() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("logs");
    let mut log = LogWriter::open(&dir, limits(1000, 2, 64), None).unwrap();
    let mut scratch = Vec::new();
    log.write(LogStream::Stdout, b"before\n", at(0), &mut scratch);
    log.file = None;
    std::fs::rename(&dir, outer.path().join("away")).unwrap();
    std::fs::write(&dir, "in the way").unwrap();
    log.write(LogStream::Stdout, b"lost\nlost too\n", at(1), &mut scratch);
    log.write(LogStream::Stderr, b"and this\n", at(2), &mut scratch);
    assert!(!log.retry(at(3)));
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(outer.path().join("away"), &dir).unwrap();
    assert!(log.retry(at(4)));
    log.write(LogStream::Stdout, b"after\n", at(5), &mut scratch);
    let lines = tail(&dir, 10).unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0].text.as_str(), lines[2].text.as_str()), ("before", "after"));
    let note = &lines[1];
    assert_eq!(note.stream, LogStream::Keeper);
    assert!(
        note.text.starts_with("3 lines (110 bytes) were dropped since 2026-01-01T00:00:00.001Z: "),
        "{note:?}"
    );
}

proptest! {
    // each case makes dozens of files
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_lost_whatever_the_cut(
        chunks in prop::collection::vec((any::<bool>(), "[a-z\n]{0,200}"), 0..60), line_bytes in 64u32..200,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), limits(2048, 100, line_bytes), None).unwrap();
        let (mut scratch, mut expected) = (Vec::new(), [String::new(), String::new()]);
        for (number, (stderr, text)) in chunks.iter().enumerate() {
            let stream = if *stderr { LogStream::Stderr } else { LogStream::Stdout };
            log.write(stream, text.as_bytes(), at(number as u64), &mut scratch);
            expected[usize::from(*stderr)] += text;
            if number % 7 == 6 {
                // as at an upgrade of the keeper
                log.finish(false, at(number as u64), &mut scratch);
                log = LogWriter::open(dir.path(), log.limits(), None).unwrap();
            }
        }
        log.finish(true, at(99), &mut scratch);
        let lines = tail(dir.path(), usize::MAX).unwrap();
        for (stream, mut text) in [LogStream::Stdout, LogStream::Stderr].into_iter().zip(expected) {
            let got = joined(&lines, stream);
            // a line that was handed on as unfinished and never ended stays so
            if !text.is_empty() && !text.ends_with('\n') && got.ends_with('\n') {
                text.push('\n');
            }
            prop_assert_eq!(got, text);
        }
    }
}
