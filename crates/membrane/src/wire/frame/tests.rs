use std::fs::File;
use std::os::fd::OwnedFd;

use proptest::prelude::*;

use super::*;

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn drain(decoder: &mut Decoder) -> Result<Vec<(Vec<u8>, usize)>, FrameError> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next()? {
        frames.push((frame.payload, frame.fds.len()));
    }
    Ok(frames)
}

#[test]
fn refuses_what_breaks_a_limit() {
    let cases: [(&[u8], FrameError); 5] = [
        (&[2, 0, 0, 0, 0, 0, 0, 0], FrameError::Version(2)),
        (&[1, 0, 1, 0, 0, 0, 0, 0], FrameError::Reserved),
        (&[1, 129, 0, 0, 0, 0, 0, 0], FrameError::TooManyFds(129)),
        (&[1, 0, 0, 0, 0, 0x10, 0, 1], FrameError::TooLong(0x10_0001)),
        (&[1, 1, 0, 0, 0, 0, 0, 0], FrameError::MissingFds { announced: 1, came: 0 }),
    ];
    for (bytes, expected) in cases {
        let mut decoder = Decoder::default();
        decoder.feed(bytes, Vec::new()).unwrap();
        assert_eq!(decoder.next().unwrap_err(), expected);
    }
    let mut out = Vec::new();
    assert_eq!(encode(&vec![0; MAX_PAYLOAD + 1], 0, &mut out), Err(FrameError::TooLong(0x10_0001)));
    assert_eq!(encode(b"", 129, &mut out), Err(FrameError::TooManyFds(129)));
    assert!(out.is_empty());
}

#[test]
fn refuses_descriptors_that_no_frame_takes() {
    let mut decoder = Decoder::default();
    for _ in 0..2 * MAX_FDS {
        decoder.feed(b"", vec![null()]).unwrap();
    }
    assert_eq!(decoder.feed(b"", vec![null()]), Err(FrameError::TooManyFds(2 * MAX_FDS + 1)));
}

proptest! {
    #[test]
    fn frames_survive_any_cut(
        frames in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0usize..4), 0..12),
        cuts in prop::collection::vec(1usize..200, 1..40),
    ) {
        let mut stream = Vec::new();
        // where in the stream each frame's descriptors arrive
        let mut arrivals = Vec::new();
        for (payload, fds) in &frames {
            arrivals.push((stream.len(), *fds));
            encode(payload, *fds, &mut stream).unwrap();
        }
        let mut decoder = Decoder::default();
        let (mut at, mut got, mut cuts) = (0, Vec::new(), cuts.into_iter().cycle());
        while at < stream.len() {
            // as the kernel does it: a read ends behind the first bytes that carry descriptors
            let mut end = (at + cuts.next().unwrap()).min(stream.len());
            let carried: Vec<_> = arrivals.iter().filter(|(p, n)| (at..end).contains(p) && *n > 0).collect();
            if let [_, second, ..] = carried[..] {
                end = second.0;
            }
            let fds = carried.first().map_or(0, |(_, n)| *n);
            decoder.feed(&stream[at..end], (0..fds).map(|_| null()).collect()).unwrap();
            got.extend(drain(&mut decoder).unwrap());
            at = end;
        }
        prop_assert_eq!(got, frames);
        prop_assert!(decoder.rest().is_empty() && !decoder.holds_fds());
    }

    #[test]
    fn garbage_is_refused_or_waits(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
        let mut decoder = Decoder::default();
        for chunk in chunks {
            if decoder.feed(&chunk, Vec::new()).is_err() || drain(&mut decoder).is_err() {
                break;
            }
            prop_assert!(decoder.rest().len() < HEADER + MAX_PAYLOAD);
        }
    }

    #[test]
    fn near_valid_headers_are_refused_or_wait(
        version in 0u8..3, fds in any::<u8>(), reserved in prop::sample::select(vec![0u8, 0, 0, 1]),
        length in prop::sample::select(vec![0u32, 1, 7, MAX_PAYLOAD as u32, MAX_PAYLOAD as u32 + 1, u32::MAX]),
        body in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut bytes = vec![version, fds, reserved, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        let mut decoder = Decoder::default();
        decoder.feed(&bytes, Vec::new()).unwrap();
        let valid = version == VERSION && reserved == 0 && length as usize <= MAX_PAYLOAD && fds == 0;
        match decoder.next() {
            Ok(Some(frame)) => prop_assert!(valid && frame.payload.len() == length as usize),
            Ok(None) => prop_assert!(bytes.len() - HEADER < length as usize),
            Err(_) => prop_assert!(!valid),
        }
    }
}
