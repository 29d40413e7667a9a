//! Properties over made-up spores: round trip, and that no flipped bit passes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;
use spore::{Identity, identity, open};

use crate::support::{Bench, template};

fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let path = proptest::collection::vec("[a-zé.][a-z0-9_ -]{0,6}x", 1..4).prop_map(|parts| parts.join("/"));
    let content = proptest::collection::vec(any::<u8>(), 0..600);
    proptest::collection::btree_map(path, content, 0..6)
        .prop_filter("a path is a file or a folder", |files| {
            files.keys().all(|path| !files.keys().any(|other| other.starts_with(&format!("{path}/"))))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(
        binary in proptest::collection::vec(any::<u8>(), 1..5_000),
        files in files(),
        env in proptest::collection::btree_map("[A-Z_][A-Z0-9_]{0,8}", "[^\0]{0,20}", 0..4),
        args in proptest::collection::vec("[^\0]{0,20}", 0..4),
    ) {
        let bench = Bench::new();
        let mut template = template();
        env.iter().for_each(|(name, value)| template.set_env(name, value));
        template.set_args(args.clone());
        let listed: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
        let (bytes, packed) = bench.pack_with(&template, &binary, &listed);
        let spore = open(bench.file(&bytes)).unwrap();
        prop_assert_eq!(&spore.manifest().args, &args);
        prop_assert!(env.iter().all(|pair| spore.manifest().env.get_key_value(pair.0) == Some(pair)));
        let extracted = spore.extract(Some(&packed.digest), &bench.dir.path().join("run")).unwrap();
        prop_assert_eq!(fs::read(&extracted.program).unwrap(), binary);
        for (path, content) in &files {
            prop_assert_eq!(&fs::read(extracted.dir.join("files").join(path)).unwrap(), content);
        }
    }

    #[test]
    fn no_flipped_bit_passes(content in 0usize..3_000_000, bits in proptest::collection::vec(any::<proptest::sample::Index>(), 1..4)) {
        let bench = Bench::new();
        let (bytes, _) = bench.pack(&vec![0x5a; content + 1], &[("a", b"alpha")]);
        let path = bench.write("flipped.spore", &bytes);
        let writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for bit in bits {
            let bit = bit.index(bytes.len() * 8);
            let (at, byte) = (bit / 8, bytes[bit / 8]);
            writer.write_all_at(&[byte ^ 1 << (bit % 8)], at as u64).unwrap();
            let result = open(fs::File::open(&path).unwrap()).and_then(|spore| spore.verify(None));
            prop_assert!(result.is_err(), "bit {}", bit);
            writer.write_all_at(&[byte], at as u64).unwrap();
        }
    }

    #[test]
    fn a_stamped_version_reads_back(
        (major, minor, patch) in (0u32..100, 0u32..100, 0u32..100), commit in "[0-9a-f]{7}", dirty: bool,
    ) {
        let semver = format!("{major}.{minor}.{patch}");
        let version = format!("v{semver}-{commit}{}", if dirty { "-dirty" } else { "" });
        prop_assert_eq!(identity(&version), Identity::Commit { semver, commit, dirty });
    }
}
