use std::io::Write as _;
use std::sync::Mutex;

use super::*;

/// Keeps what it is given, until it has had enough.
struct Kept {
    content: Mutex<Vec<u8>>,
    fails_at: u64,
}

impl Sink for Kept {
    fn begin(&mut self, _: &Entry) -> Result<(), SporeError> {
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), SporeError> {
        if (at..at + bytes.len() as u64).contains(&self.fails_at) {
            return Err(SporeError::Write { path: "full".into(), source: ErrorKind::StorageFull.into() });
        }
        let start = usize::try_from(at).unwrap();
        self.content.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SporeError> {
        Ok(())
    }
}

fn kept(length: usize, fails_at: u64) -> Kept {
    Kept { content: Mutex::new(vec![0; length]), fails_at }
}

fn content(length: usize) -> (File, Vec<u8>) {
    let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + at / 251).to_le_bytes()[0]).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"head").unwrap();
    file.write_all(&bytes).unwrap();
    (file, bytes)
}

fn pass(file: &File, whole: bool) -> Pass<'_> {
    Pass { file, at: 4, whole: whole.then(Sha256::default), piece: vec![0; PIECE] }
}

const LENGTHS: [usize; 8] =
    [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 17 * PIECE, 33 * PIECE + 1, 50 * PIECE + 7];

#[test]
fn two_sides_find_what_one_does() {
    for length in LENGTHS {
        let (file, bytes) = content(length);
        for whole in [false, true] {
            let (mut one, mut two) = (pass(&file, whole), pass(&file, whole));
            let (first, second) = (kept(length, u64::MAX), kept(length, u64::MAX));
            let alone = one.content_here(length, &first).unwrap();
            let together = pipe::content(&mut two, length as u64, &second).unwrap();
            assert_eq!(alone, together, "{length} {whole}");
            assert_eq!(alone, (Digest::of(&bytes), crc32fast::hash(&bytes)));
            assert_eq!(one.at, two.at);
            assert_eq!(one.whole.map(Sha256::finish), two.whole.map(Sha256::finish), "{length}");
            assert!(*first.content.lock().unwrap() == bytes && *second.content.lock().unwrap() == bytes);
        }
    }
}

#[test]
fn a_failing_side_ends_the_other_with_its_error() {
    for length in LENGTHS {
        let (file, _) = content(length);
        for whole in [false, true] {
            for fails_at in [0, length / 3, length / 2, length - 1] {
                let sink = kept(length, fails_at as u64);
                let error = pipe::content(&mut pass(&file, whole), length as u64, &sink).unwrap_err();
                assert!(matches!(error, SporeError::Write { .. }), "{error}");
            }
            let short =
                pipe::content(&mut pass(&file, whole), length as u64 + 1, &kept(length + 1, u64::MAX));
            assert!(matches!(short.unwrap_err(), SporeError::Changed("its length")));
        }
    }
}
