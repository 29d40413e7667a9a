use std::fs;
use std::path::Path;

use super::graph::{self, Built};
use super::licence::is_allowed;
use super::{crates, floors, functions, heads, marks, powers, sizes};
use crate::tree;

/// A workspace in which every rule is broken once, and what is allowed stands beside it.
fn bad_tree(root: &Path) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let crate_of = |name: &str, floor: &str, rest: &str| {
        let head = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        write(&format!("crates/{name}/Cargo.toml"), &format!("{head}{floor}\n[dependencies]\n{rest}"));
    };
    let floor = |n: u32| format!("[package.metadata.mycelium]\nfloor = {n}\n");
    write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"tool\"]\n");
    write("tool/Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    write("tool/src/main.rs", "fn main() { std::process::Command::new(\"ls\"); }\n");

    crate_of("ground", &floor(0), "tokio = \"1\"\n");
    write("crates/ground/src/lib.rs", &format!("//! Ground: words.\n{}", "//\n".repeat(1_000)));
    crate_of("left", &floor(2), "ground = { path = \"../ground\" }\nright = { path = \"../right\" }\n");
    let left = "//! Left: this.\nfn f() {\n    Command::new(\"sh\"); // Command::new\n    \"env::var\"; env::var(\"X\");\n    Instant::now();\n}\n";
    write("crates/left/src/lib.rs", left);
    write("crates/left/src/tests.rs", "fn f() { Command::new(\"sh\"); }\n");
    write("crates/left/tests/it/main.rs", "//! Tests.\nfn f() { env::var(\"X\"); }\n");
    crate_of(
        "right",
        &floor(2),
        "high.path = \"../high\"\n[dev-dependencies]\nleft = { path = \"../left\" }\n",
    );
    write("crates/right/src/lib.rs", "//! the right one\n");
    write("crates/right/src/parts/mod.rs", "//! Parts.\n");
    crate_of("high", &floor(4), "tool = { path = \"../../tool\" }\nground = { path = \"../ground\" }\n");
    let long =
        format!("//! High: that.\nfn fits() {{\n{0}}}\nfn long() {{\n{0}//\n}}\n", "x();\n".repeat(68));
    write("crates/high/src/lib.rs", &long);
    crate_of("nowhere", "", "");
    write("crates/nowhere/src/lib.rs", concat!("use x; // TO", "DO later, MASTODON\n"));
    crate_of("cortex", &floor(3), "");
    write(
        "crates/cortex/src/lib.rs",
        "//! Cortex: planner.\nfn f(m: HashMap<u8, u8>, n: MyHashMaps) { SystemTime::now(); }\nfn g() { Instant::now() } // tidy: bounds a wait\n",
    );
    write("crates/cortex/src/big.rs", &format!("//! Big.\n{}", "//\n".repeat(500)));
    write("target/debug/x.rs", "not ours");
    write(".hidden/x.rs", "not ours");
}

const GLOSSARY: &str =
    "| `ground` | x |\n| `left` | x |\n| `right` | x |\n| `high` | x |\ncortex is `cortex`\n";

#[test]
fn every_broken_rule_is_told_with_its_place_and_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    bad_tree(&root);
    let (files, crates) = (tree::read(&root).unwrap(), crates::read(&root).unwrap());
    let mut all = sizes::check(&files, &crates);
    all.extend(functions::check(&files));
    all.extend(heads::check(&files));
    all.extend(marks::check(&files));
    all.extend(floors::check(&crates, GLOSSARY));
    all.extend(powers::check(&files, &crates));
    all.sort();
    let told: Vec<_> = all.iter().map(ToString::to_string).collect();
    let expected = [
        "crates/cortex/Cargo.toml:1: no row in GLOSSARY.md; add one for `cortex`",
        "crates/cortex/src/big.rs:501: 501 lines, more than 500; split it by idea",
        "crates/cortex/src/lib.rs:2: HashMap: this crate is pure, and the order of a hash map isn't; use BTreeMap or BTreeSet",
        "crates/cortex/src/lib.rs:2: SystemTime::now: this crate is pure; take `now` as an argument",
        "crates/ground/Cargo.toml:1: 1001 lines on the ground floor, more than 1000; move what has one user up to it",
        "crates/ground/Cargo.toml:9: ground is pure and can't import tokio; let a higher floor drive it",
        "crates/ground/src/lib.rs:501: 1001 lines, more than 500; split it by idea",
        "crates/high/Cargo.toml:9: high (floor 4) imports tool, which has no floor: nothing in crates/ may use it",
        "crates/high/src/lib.rs:72: fn long has 71 lines, more than 70; give its parts names",
        "crates/left/Cargo.toml:10: left (floor 2) imports right, a sibling on the same floor; meet through a type or a trait on a lower one",
        "crates/left/src/lib.rs:3: Command::new: only membrane starts processes (and mesh runs builds); ask the keeper",
        "crates/left/src/lib.rs:4: env::var: only mesh and mycelium read the environment; take it as an argument",
        concat!("crates/nowhere/src/lib.rs:1: TO", "DO; do it, or open an issue"),
        "crates/nowhere/src/lib.rs:1: no `//!` at the head; say what this file is for, and what it never does",
        "crates/nowhere/Cargo.toml:1: no floor; add `[package.metadata.mycelium]` with `floor = N` (see ARCHITECTURE.md)",
        "crates/right/Cargo.toml:9: right (floor 2) imports high, which is upward (floor 4); move what is shared down, or have it passed in from above",
        "crates/right/src/lib.rs:1: a library opens with both its words: `//! Right: <field term>`",
        "crates/right/src/parts/mod.rs:1: mod.rs; name it after its folder: foo.rs beside foo/",
        "tool/src/main.rs:1: no `//!` at the head; say what this file is for, and what it never does",
    ];
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "{}", told.join("\n"));
}

#[test]
fn knows_which_licences_leave_a_choice() {
    let good = [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "ISC AND (Apache-2.0 OR ISC) AND OpenSSL OR MIT",
    ];
    for expression in good {
        assert!(is_allowed(expression), "{expression}");
    }
    let bad = [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "AGPL-3.0-only OR (MIT AND SSPL-1.0)",
        "Apache-2.0 WITH Classpath-exception-2.0",
        "",
        "MIT OR",
        "(MIT",
        "MIT)",
        "MIT Apache-2.0",
    ];
    for expression in bad {
        assert!(!is_allowed(expression), "{expression}");
    }
}

const GRAPH: &str = "\
0\tmesh v0.1.0 (/src/crates/mesh)\tApache-2.0
1\trustls v0.23.1\tApache-2.0 OR ISC OR MIT
2\tring v0.17.14\tApache-2.0 AND ISC
1\tcopyleft v1.0.0 (proc-macro)\tGPL-3.0-only

0\tedge v0.1.0 (/src/crates/edge)\tApache-2.0
1\trustls v0.23.1\tApache-2.0 OR ISC OR MIT (*)
1\tbare v2.0.0\t
";
const LOCK: &str = "\n[[package]]\nname = \"ring\"\nversion = \"0.16.0\"\n\n[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n";

#[test]
fn reads_the_graph_once_a_crate() {
    let built = graph::parse(GRAPH);
    let names: Vec<_> = built.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["bare", "copyleft", "edge", "mesh", "ring", "rustls"]);
    let ring = Built {
        name: "ring".into(),
        version: "0.17.14".into(),
        licence: "Apache-2.0 AND ISC".into(),
        chain: vec!["mesh".into(), "rustls".into()],
    };
    assert_eq!(built[4], ring);
}

#[test]
fn refuses_what_we_never_build_and_tells_who_brought_it() {
    let told: Vec<_> = graph::check(&graph::parse(GRAPH), LOCK).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Cargo.lock:1: bare 2.0.0 states no licence; it comes by edge: leave it",
            "Cargo.lock:1: copyleft 1.0.0: \"GPL-3.0-only\" allows no licence that ours can live with (see xtask/src/tidy/licence.rs); it comes by mesh: leave it",
            "Cargo.lock:7: ring is banned (one crypto provider: aws-lc-rs; two at once panic at run time); it comes by mesh -> rustls: turn the feature off, or leave that crate",
        ]
    );
}

#[test]
fn cargo_deny_is_told_the_same() {
    let deny = fs::read_to_string(crate::root().unwrap().join("deny.toml")).unwrap();
    let section = |name: &str| deny.split(&format!("[{name}]")).nth(1).unwrap().split("\n]").next().unwrap();
    let allowed: Vec<_> = super::licence::ALLOWED.iter().map(|name| format!("  {name:?},")).collect();
    assert_eq!(section("licenses").lines().filter(|l| l.starts_with("  ")).collect::<Vec<_>>(), allowed);
    let banned = graph::BANNED.map(|(name, why)| format!("  {{ crate = {name:?}, reason = {why:?} }},"));
    assert_eq!(section("bans").lines().filter(|l| l.starts_with("  ")).collect::<Vec<_>>(), banned);
}
