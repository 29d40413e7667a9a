//! `docs/cli.md` says what the program says. `UPDATE_DOCS=1 cargo test -p mesh reference` writes it anew.

use std::path::Path;

#[test]
fn the_committed_reference_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let reference = mesh::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &reference).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == reference, "docs/cli.md is not what the program says: run with UPDATE_DOCS=1");
}
