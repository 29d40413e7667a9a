//! What nodes say to each other about spores: requests, answers, lists of pieces; and the journal of a fetch.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| repo::exchange::fuzzing::message(data));
