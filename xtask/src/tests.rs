use std::fs;
use std::path::Path;

use crate::lex::code_only;
use crate::{generate, root};

#[test]
fn blanks_what_is_quoted_or_commented_and_keeps_every_place() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"}\", '{', '\\'')", "f(   ,    ,     )"),
        ("r\"\\\"; x", "    ; x"),
        ("br#\"a\"b\"#; x", "b        ; x"),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("bar\"x\"", "bar   "),
        ("\"a\nb\"", "  \n  "),
        ("'ä' x", "     x"),
        ("\"open", "     "),
        ("/* open", "       "),
    ];
    for (source, code) in cases {
        assert_eq!(code_only(source), code, "{source:?}");
        assert_eq!(source.len(), code.len());
    }
}

#[test]
fn what_is_committed_is_what_the_code_generates() {
    let told: Vec<_> = generate::check(&root().unwrap()).unwrap().iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn generated_files_are_written_checked_and_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let missing = generate::check(dir.path()).unwrap().len();
    let written = generate::write(dir.path()).unwrap();
    assert_eq!(written.len(), missing);
    assert!(written.contains(&"schemas/manifest.schema.json".into()));
    assert!(generate::check(dir.path()).unwrap().is_empty());
    assert!(generate::write(dir.path()).unwrap().is_empty(), "nothing is written twice");

    fs::write(dir.path().join("schemas/plan.schema.json"), "{}").unwrap();
    fs::write(dir.path().join("schemas/gone.schema.json"), "{}").unwrap();
    let told: Vec<_> = generate::check(dir.path()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "schemas/plan.schema.json:1: not what the code says; run: cargo xtask generate",
            "schemas/gone.schema.json:1: nothing generates this file; run: cargo xtask generate",
        ]
    );
    let touched = generate::write(dir.path()).unwrap();
    assert_eq!(touched, [Path::new("schemas/plan.schema.json"), Path::new("schemas/gone.schema.json")]);
    assert!(generate::check(dir.path()).unwrap().is_empty());
}
