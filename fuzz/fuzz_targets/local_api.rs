//! Any bytes as a connection to the local API: it answers or hangs up, and takes no record that nobody signed.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mycelium::fuzzing::Api;
use tokio::runtime::{Builder, Runtime};
use types::Signer as _;

static API: LazyLock<(Runtime, Api)> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("fuzz-local-api-{}", std::process::id()));
    let operator = soul::SecretKey::generate().unwrap().public_key();
    (Builder::new_current_thread().enable_all().build().unwrap(), Api::new(&dir, operator))
});

fuzz_target!(|data: &[u8]| {
    let (runtime, api) = &*API;
    runtime.block_on(api.connection(data));
    assert!(api.fabric().records().is_empty());
});
