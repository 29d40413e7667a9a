//! Any bytes as records of a log: every one is read as a line, which written again is read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use membrane::fuzzing::{log_record, log_record_of};

fuzz_target!(|data: &[u8]| {
    for record in data.split(|byte| *byte == b'\n') {
        let line = log_record(record);
        assert_eq!(log_record(&log_record_of(&line)), line);
    }
});
