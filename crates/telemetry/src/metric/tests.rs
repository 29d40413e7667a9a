use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the dashboard and the alerts lie.
const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/monitoring");

/// What looks like the name of one of our metrics, without what a histogram adds.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let ours = words.filter(|word| word.starts_with("mycelium_"));
    ours.map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

#[test]
fn what_is_shown_and_alerted_on_exists() {
    let known = names(include_str!("../metric.rs"));
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(Path::new(MONITORING).join(file)).unwrap();
        let used = names(&text);
        assert!(used.len() >= 5, "{file} uses {used:?}");
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} uses {unknown:?}");
    }
    let dashboard = std::fs::read(Path::new(MONITORING).join("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    assert!(
        dashboard["panels"].as_array().unwrap().iter().all(|panel| panel["targets"][0]["expr"].is_string())
    );
}

/// That of `cargo xtask tools`, or that in the `PATH`.
fn promtool() -> PathBuf {
    let built =
        std::env::current_exe().ok().and_then(|exe| Some(exe.ancestors().nth(3)?.join("tools/bin/promtool")));
    built.filter(|path| path.exists()).unwrap_or_else(|| "promtool".into())
}

#[test]
fn alerts_do_what_they_say() {
    for args in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        match Command::new(promtool()).args(args).current_dir(MONITORING).output() {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
            }
            Err(error) => println!("SKIPPED: promtool: {error}; `cargo xtask tools` builds it"),
        }
    }
}
