use super::{app_of_name, app_of_path, is_host, name_of, parse};

#[test]
fn paths_are_split_after_their_first_segment() {
    for (path, app, rest) in [
        ("/a/b", "a", "/b"),
        ("/a", "a", ""),
        ("/a?x", "a", "?x"),
        ("/a//b", "a", "//b"),
        ("/", "", ""),
        ("//b", "", "/b"),
        ("/%61/b", "%61", "/b"),
    ] {
        assert_eq!(app_of_path(path.as_bytes()), (app.as_bytes(), rest.as_bytes()), "{path}");
    }
}

#[test]
fn names_under_the_domain_are_apps() {
    for (name, app) in [
        ("a.mesh.internal", Some("a")),
        ("A.Mesh.Internal", Some("A")),
        ("mesh.internal", None),
        (".mesh.internal", None),
        ("a.b.mesh.internal", None),
        ("xmesh.internal", None),
        ("a.mesh.internal.evil", None),
        ("", None),
    ] {
        assert_eq!(app_of_name(name.as_bytes()), app.map(str::as_bytes), "{name}");
    }
}

#[test]
fn hosts() {
    for (host, name) in
        [("h", "h"), ("h:80", "h"), ("h.", "h"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("h:", "h")]
    {
        assert!(is_host(host.as_bytes()), "{host}");
        assert_eq!(name_of(host.as_bytes()), name.as_bytes());
    }
    for host in [
        "", ":80", "a b", "a,b", "u@h", "h/x", "h:80x", "h:123456", "::1", "[]", "[::1", "[g]", "[::1]x",
        "h:1:2", "\u{e9}",
    ] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}

#[test]
fn targets() {
    let parsed = parse(b"http://h:1/x?y").unwrap();
    assert_eq!((parsed.authority, parsed.path), (Some(&b"h:1"[..]), &b"/x?y"[..]));
    assert_eq!(parse(b"http://h?y").unwrap().path, b"?y");
    assert_eq!(parse(b"*").unwrap().path, b"*");
    assert_eq!(parse(b"/a?b\\c").unwrap().path, b"/a?b\\c");
    for target in ["x", "", "https://h/", "http://", "http:/h/", "//", "ftp://h/", "/a\\b", "http://u@h/"] {
        assert_eq!(parse(target.as_bytes()).is_ok(), target == "//", "{target}");
    }
}
