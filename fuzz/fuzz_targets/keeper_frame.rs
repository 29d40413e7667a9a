//! A number of descriptors, a size of reads and any bytes as frames to the keeper: however they are cut, the same is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use membrane::fuzzing::{frame, frames, message, request};

fuzz_target!(|data: &[u8]| {
    let [fds, cut, stream @ ..] = data else { return };
    let whole = frames(stream, *fds, 0).unwrap();
    assert_eq!(whole, frames(stream, *fds, *cut).unwrap());
    let mut again = Vec::new();
    for (payload, fds) in &whole.frames {
        again.extend(frame(payload, *fds).unwrap());
        drop(request(payload));
        if let Ok(once) = message(payload) {
            assert_eq!(message(&once).unwrap(), once);
        }
    }
    match whole.end {
        Ok(rest) => assert_eq!([again, rest].concat(), stream),
        Err(_) => assert!(stream.starts_with(&again)),
    }
    // most streams are no frame: what a payload holds is reached without one as well
    drop(request(stream));
    drop(message(stream));
});
