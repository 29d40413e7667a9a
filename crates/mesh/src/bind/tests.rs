use mycelium::api::{ConfigInfo, SecretInfo};

use super::*;

fn name(text: &str) -> SettingName {
    SettingName::new(text).unwrap()
}

fn names(all: &[&str]) -> Vec<SettingName> {
    all.iter().map(|text| name(text)).collect()
}

fn at() -> SettingsAt {
    let secret = |text: &str, version| SecretInfo {
        name: name(text),
        version,
        app_names: BTreeSet::new(),
        shares: BTreeSet::new(),
        held: BTreeSet::new(),
    };
    let config = ConfigInfo { name: name("features"), version: 4, app_names: BTreeSet::new(), bytes: 1 };
    SettingsAt {
        secrets: vec![secret("a", 7), secret("b", 9)],
        configs: vec![config],
        ..SettingsAt::default()
    }
}

#[test]
fn what_is_new_is_named_in_the_version_there_is_and_what_was_named_stays() {
    let current = Settings { secrets: [(name("a"), 2)].into(), ..Settings::default() };
    let asked = Asked { secret: names(&["a", "b"]), config: names(&["features"]), ..Asked::default() };
    let with = next(&current, &asked, &at());
    assert_eq!(with.secrets, [(name("a"), 2), (name("b"), 9)].into());
    assert_eq!(with.config, [(name("features"), 4)].into());
    let asked = Asked { drop_secret: names(&["a"]), drop_config: names(&["features"]), ..Asked::default() };
    let without = next(&with, &asked, &at());
    assert_eq!((without.secrets, without.config.is_empty()), ([(name("b"), 9)].into(), true));
}

#[test]
fn a_list_in_a_mesh_toml_is_the_whole_list() {
    let current =
        Settings { secrets: [(name("a"), 2)].into(), config: [(name("features"), 1)].into(), rotate: None };
    let asked = Asked { secret: names(&["b"]), no_others: (true, false), ..Asked::default() };
    let next = next(&current, &asked, &at());
    assert_eq!((next.secrets, next.config), ([(name("b"), 9)].into(), current.config));
}
