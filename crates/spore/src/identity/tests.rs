use super::*;

fn commit(semver: &str, commit: &str, dirty: bool) -> Identity {
    Identity::Commit { semver: semver.to_owned(), commit: commit.to_owned(), dirty }
}

#[test]
fn a_stamped_version_names_its_commit() {
    assert_eq!(identity("v0.1.0-af64f9a"), commit("0.1.0", "af64f9a", false));
    assert_eq!(identity("v0.1.0-af64f9a-dirty"), commit("0.1.0", "af64f9a", true));
    assert_eq!(identity("v1.2.3-rc.1-0000000"), commit("1.2.3-rc.1", "0000000", false));
}

#[test]
fn latest_is_seen_for_what_it_is() {
    for text in ["latest", "Latest", "LATEST", "vlatest"] {
        assert_eq!(identity(text), Identity::Latest, "{text}");
    }
}

#[test]
fn anything_else_names_no_commit() {
    for text in [
        "",
        "v0.1.0",
        "0.1.0-af64f9a",
        "v0.1-af64f9a",
        "v0.1.0-AF64F9A",
        "v0.1.0-af64f9",
        "v0.1.0-af64f9a0",
        "v00.1.0-af64f9a",
        "v0.1.0-af64f9a-dirtier",
        "v0.1.0--af64f9a",
        "v0.1.0-01-af64f9a",
        "v1.2.3.4-af64f9a",
        "-",
    ] {
        assert_eq!(identity(text), Identity::Other, "{text}");
    }
}
