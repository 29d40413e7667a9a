use super::*;

fn git_in(dir: &Path, args: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(args)
        .env("GIT_COMMITTER_DATE", "2025-09-06T00:00:00Z")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("VERSION"), "1.2.3\n").unwrap();
    git_in(dir.path(), &["init", "-q"]);
    git_in(dir.path(), &["add", "."]);
    git_in(dir.path(), &["commit", "-qm", "first"]);
    dir
}

#[test]
fn a_committed_tree_has_an_immutable_tag() {
    let dir = repository();
    let tree = Tree::of(dir.path(), "v9.9.9").unwrap();
    assert!(tree.tag.starts_with("v1.2.3-") && tree.tag.len() == "v1.2.3-1234567".len(), "{tree:?}");
    assert_eq!((tree.commit.clone(), tree.warning()), (Commit::Clean, None));
    assert_eq!(tree.committed_at.unwrap().to_string(), "2025-09-06T00:00:00Z");
    let below = dir.path().join("examples");
    std::fs::create_dir(&below).unwrap();
    assert_eq!(Tree::of(&below, "v9.9.9").unwrap().tag, tree.tag, "the root's VERSION counts below it");
}

#[test]
fn an_uncommitted_tree_says_so() {
    let dir = repository();
    std::fs::write(dir.path().join("new.rs"), "").unwrap();
    let tree = Tree::of(dir.path(), "v9.9.9").unwrap();
    assert!(tree.tag.ends_with("-dirty"), "{tree:?}");
    assert_eq!(tree.commit, Commit::Dirty(1));
    assert!(tree.warning().unwrap().starts_with("1 uncommitted file:"));
}

#[test]
fn without_git_the_manifest_speaks_and_the_tag_is_dirty() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Tree::of(dir.path(), "v0.1.0").unwrap().tag, "v0.1.0-0000000-dirty");
    assert_eq!(Tree::of(dir.path(), "v0.1.0-abcdef0").unwrap().tag, "v0.1.0-0000000-dirty");
    assert_eq!(Tree::of(dir.path(), "latest").unwrap().tag, "latest");
    assert_eq!(Tree::of(dir.path(), "soon").unwrap_err().code, crate::exit::Code::Usage);
}
