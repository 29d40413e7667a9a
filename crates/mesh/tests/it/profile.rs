//! `mesh profile`

use std::process::Command;

use crate::support::Place;

/// A profile for what needs no network.
fn alone(place: &Place) {
    let text = place.mesh("profile show default").good().stdout.replace("edge = true", "edge = false");
    let dir = place.state().join("profiles");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("alone.toml"), text).unwrap();
}

/// How exposed a unit is, as systemd judges it.
#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
fn exposure(place: &Place, unit: &str) -> Option<f64> {
    let path = place.write("judged.service", unit);
    let mut judge = Command::new("systemd-analyze");
    let judged =
        judge.args(["security", "--offline=true", "--no-pager"]).arg(path).env("LC_ALL", "C").output();
    let judged = match judged {
        Ok(judged) => String::from_utf8(judged.stdout).unwrap(),
        Err(error) => {
            println!("SKIPPED: systemd-analyze can't be run: {error}");
            return None;
        }
    };
    let found = judged.split_once("Overall exposure level for judged.service: ");
    let Some((_, found)) = found else {
        println!("SKIPPED: this systemd-analyze judges no files: {judged}");
        return None;
    };
    Some(found.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn what_is_enforced_exposes_little_as_systemd_judges_it() {
    let place = Place::new();
    let layers = membrane::Layers::find();
    if let Some(why) =
        [layers.confine(membrane::By::Both), layers.user, layers.reach].into_iter().find_map(Result::err)
    {
        println!("SKIPPED: this machine can't enforce all of it: {why}");
        return;
    }
    alone(&place);
    let Some(plain) = exposure(&place, "[Service]\nExecStart=/usr/bin/true\n") else { return };
    assert!(plain > 9.0, "a unit without anything is judged {plain}");
    for (profile, most) in [("default", 1.2), ("strict", 1.2), ("alone", 0.5)] {
        let unit = place.mesh(&format!("profile show {profile} --systemd")).good().stdout;
        let found = exposure(&place, &unit).unwrap();
        assert!(found <= most, "{profile} is judged {found}, not {most}:\n{unit}");
    }
}

#[test]
fn a_unit_says_what_a_profile_says() {
    let place = Place::new();
    if let Err(why) = membrane::Layers::find().confine(membrane::By::Both) {
        let refused = place.mesh("profile show strict --systemd").ended(1);
        assert!(refused.stderr.contains(&why), "{}", refused.stderr);
        println!("SKIPPED: {why}");
        return;
    }
    alone(&place);
    let unit = |name: &str| place.mesh(&format!("profile show {name} --systemd")).good().stdout;
    let (default, alone) = (unit("default"), unit("alone"));
    let has = |unit: &str, line: &str| unit.lines().any(|other| other == line);
    assert!(has(&default, "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK"), "{default}");
    assert!(has(&alone, "RestrictAddressFamilies=none") && has(&alone, "PrivateNetwork=yes"), "{alone}");
    assert!(default.contains("BindReadOnlyPaths=/usr "), "{default}");
    let calls: Vec<&str> = default
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
        .flat_map(|l| l.split(' '))
        .collect();
    assert!(
        calls.contains(&"openat") && !calls.contains(&"ptrace") && !calls.contains(&"openat2"),
        "{calls:?}"
    );
    let unknown = place.mesh("profile show as-my-uncle-likes-it --systemd").ended(1);
    assert!(unknown.stderr.contains("mesh profile list"), "{}", unknown.stderr);
}
