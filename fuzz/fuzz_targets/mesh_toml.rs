//! Any text as a `mesh.toml`: what is accepted asks for bounds that can be kept, what is refused says why.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match mesh::fuzzing::mesh_file(text) {
        Ok(apps) => {
            for (name, bounds) in apps {
                assert!(bounds.is_none_or(|(min, max)| min <= max), "{name}: {bounds:?}");
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
