use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn those_that_are_built_in_can_be_read() {
    for (name, text) in Profile::built_in() {
        let profile = Profile::read(name, text).unwrap();
        assert_eq!(profile.kept.by == By::Both, *name == "strict", "{name}");
        assert!(profile.files.read.iter().any(|path| path == "/etc/resolv.conf"), "{name}");
    }
}

#[test]
fn only_a_plan_lets_run_unconfined() {
    let dir = dir();
    let of = |asked, planned| Confinement::of(asked, planned, dir.path());
    assert_eq!(of("default", Some("unconfined")), Ok(Confinement::Unconfined));
    let refused = of("unconfined", None).unwrap_err();
    assert!(refused.contains("mesh deploy --profile unconfined"), "{refused}");
    assert!(matches!(of("unconfined", Some("strict")), Ok(Confinement::Profile(_))));
    assert_eq!(of("demo", None), of("default", None));
}

#[test]
fn a_file_is_a_profile_and_anything_else_is_none() {
    let dir = dir();
    let text = Profile::text("strict", dir.path()).unwrap();
    let mine = text.replace("tmp_mb = 64", "tmp_mb = 7");
    std::fs::write(dir.path().join("mine.toml"), &mine).unwrap();
    let Ok(Confinement::Profile(profile)) = Confinement::of("mine", None, dir.path()) else { panic!() };
    assert_eq!(profile.own.tmp_mb, 7);
    for (wrong, why) in [
        (mine.replace("tmp_mb = 7", "tmp_mb = 0"), "own.tmp_mb must be 1 to"),
        (mine.replace("tmp_mb = 7", "tmp_mb = 7\nsecret = 1"), "unknown field `secret`"),
        (mine.replace("\"/usr\"", "\"usr\""), "files.run: \"usr\" is not a path"),
        (mine.replace("\"/usr\"", "\"/usr/../etc\""), "files.run: \"/usr/../etc\" is not a path"),
        (mine.replace("\"/usr\"", "\"/\""), "files.run: \"/\" is not a path"),
        (mine.replace("[kept]", "[kepd]"), "unknown field `kepd`"),
        ("x".to_owned(), "TOML parse error"),
    ] {
        let refused = Profile::read("mine", &wrong).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    for name in ["as-my-uncle-likes-it", "../mine", ".mine", "", "a/b", "unconfined"] {
        let refused = Profile::text(name, dir.path()).unwrap_err().to_string();
        assert!(refused.contains("knows no profile"), "{refused}");
    }
}

#[test]
fn only_who_needs_no_network_at_all_has_none() {
    let dir = dir();
    let text = Profile::text("default", dir.path()).unwrap();
    let offline = |edge: bool, port: u16, reach: &[genome::Reach]| {
        let text = text.replace("edge = true", &format!("edge = {edge}"));
        let confinement = Confinement::Profile(Arc::new(Profile::read("mine", &text).unwrap()));
        let place = Place {
            name: "a",
            dir: dir.path(),
            data: None,
            interpreter: None,
            port,
            edge: "http://127.0.0.1:8080",
            reach,
            exact: true,
        };
        skin(&confinement, &place).unwrap().offline
    };
    let listed = ["tcp:5432".parse().unwrap()];
    assert!(offline(false, 0, &[]));
    assert!(!offline(true, 0, &[]) && !offline(false, 8080, &[]) && !offline(false, 0, &listed));
}
