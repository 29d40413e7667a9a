use super::*;

#[test]
fn ordinary_paths_pass() {
    for good in ["a", "a/b/c", "index.html", ".env", "a b", "résumé.txt", "...", "a..b", "-x"] {
        assert_eq!(path_problem(good), None, "{good}");
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for bad in
        ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "a\0", "a\nb"]
    {
        assert!(path_problem(bad).is_some(), "{bad:?}");
    }
    assert!(path_problem("txt.\u{202e}exe").is_some());
    assert!(path_problem(&"a".repeat(256)).is_some());
    assert!(path_problem(&"a/".repeat(300)).is_some());
}

#[test]
fn ancestors_are_proper() {
    assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    assert_eq!(ancestors("a").count(), 0);
}
