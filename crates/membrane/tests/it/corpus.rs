//! The fuzz corpora of the keeper's frames and of the log, replayed: each file with what must come of it.

use std::fs;

use membrane::fuzzing::{frame, frames, log_record, log_record_of, message, request};
use membrane::{LogLine, LogStream};

/// The files of a target, each once, with what the table expects of it.
fn corpus<T: Copy>(target: &str, expected: &[(&str, T)]) -> Vec<(String, Vec<u8>, T)> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(expected.iter().all(|(name, _)| names.iter().any(|n| n == name)), "{folder} misses a file");
    let of = |name: &String| expected.iter().find(|(n, _)| n == name).map(|(_, e)| *e);
    names
        .into_iter()
        .filter_map(|name| of(&name).map(|expected| (name, expected)))
        .map(|(name, expected)| (name.clone(), fs::read(format!("{folder}/{name}")).unwrap(), expected))
        .collect()
}

/// What every file in the folder has to stand, whether the table names it or not.
fn each(target: &str, check: impl Fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn keeper_frame() {
    each("keeper_frame", |bytes| {
        let [fds, cut, stream @ ..] = bytes else { return };
        let (whole, pieces) = (frames(stream, *fds, 0).unwrap(), frames(stream, *fds, *cut).unwrap());
        assert_eq!(whole, pieces);
        let mut again: Vec<u8> = Vec::new();
        for (payload, fds) in &whole.frames {
            again.extend(frame(payload, *fds).unwrap());
        }
        again.extend(whole.end.iter().flatten());
        assert!(if whole.end.is_ok() { again == stream } else { stream.starts_with(&again) });
    });
    // what it is read as: the calls, or a word of what is said about the first thing that is wrong
    let cases: [(&str, Result<&[&str], &str>); 12] = [
        ("attach", Ok(&["attach"])),
        ("spawn-with-descriptor", Ok(&["spawn"])),
        ("two-in-pieces", Ok(&["stop", "kill"])),
        ("unknown-call", Ok(&["dance"])),
        ("unfinished", Ok(&[])),
        ("stop-without-id", Err("missing field `id`")),
        ("no-request", Err("missing field `id`")),
        ("version-2", Err("version 2")),
        ("reserved", Err("reserved")),
        ("too-long", Err("1048577 bytes")),
        ("too-many-descriptors", Err("129 descriptors")),
        ("descriptor-missing", Err("announced 1 descriptors and came with 0")),
    ];
    for (name, bytes, expected) in corpus("keeper_frame", &cases) {
        let read = frames(&bytes[2..], bytes[0], bytes[1]).unwrap();
        let calls = read.end.and_then(|_| read.frames.iter().map(|(p, _)| Ok(request(p)?.1)).collect());
        match (calls, expected) {
            (Ok(calls), Ok(expected)) => {
                let calls: Vec<String> = calls;
                assert_eq!(calls, expected, "{name}");
            }
            (Err(error), Err(word)) => assert!(error.contains(word), "{name}: {error}"),
            (calls, _) => panic!("{name}: {calls:?}, not {expected:?}"),
        }
    }
    let (_, answer, ()) = corpus("keeper_frame", &[("answers", ())]).remove(0);
    let read = frames(&answer[2..], 0, 0).unwrap();
    assert_eq!((read.frames.len(), &read.end), (3, &Ok(Vec::new())));
    for (payload, _) in read.frames {
        let once = message(&payload).unwrap();
        assert_eq!(message(&once).unwrap(), once);
    }
}

#[test]
fn log_record_reads() {
    each("log_record", |bytes| {
        for record in bytes.split(|byte| *byte == b'\n') {
            let line = log_record(record);
            assert_eq!(log_record(&log_record_of(&line)), line);
        }
    });
    let is = |line: &LogLine| (line.stream, line.more);
    let cases = [
        ("stdout", Some((LogStream::Stdout, false))),
        ("stderr", Some((LogStream::Stderr, false))),
        ("keeper", Some((LogStream::Keeper, false))),
        ("continued", Some((LogStream::Stdout, true))),
        ("empty-text", Some((LogStream::Stdout, false))),
        ("not-utf8", Some((LogStream::Stdout, false))),
        ("torn", None),
        ("no-such-stream", None),
        ("no-such-day", None),
        ("no-milliseconds", None),
        ("multibyte-across-the-prefix", None),
    ];
    for (name, bytes, expected) in corpus("log_record", &cases) {
        let line = log_record(&bytes);
        let whole = line.text == String::from_utf8_lossy(&bytes);
        assert_eq!((!whole).then(|| is(&line)), expected, "{name}: {line:?}");
        assert!(expected.is_some() || is(&line) == (LogStream::Keeper, false), "{name}: {line:?}");
    }
}
