use super::mounts::{Hierarchy, parse};
use super::*;

mod kernel;
mod role;

use proptest::prelude::*;

const HYBRID: &str = "\
23 1 8:1 / / rw - ext4 /dev/sda rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn finds_every_hierarchy_and_itself_in_it() {
    let found = parse(HYBRID, "5:cpu,cpuacct:/\n4:memory:/a/b c\n2:name=systemd:/x\n0::/user\n");
    let own: Vec<_> = found.iter().map(|h| h.own.clone().unwrap().display().to_string()).collect();
    let expected =
        ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory/a/b c", "/sys/fs/cgroup/uni fied/user"];
    assert_eq!(own, expected);
    assert_eq!(found[0].controllers, [Controller::Cpu, Controller::Cpuacct]);
    assert_eq!(found[2].version, Version::V2);
}

#[test]
fn knows_what_a_container_is_shown_of_a_hierarchy() {
    let mounts = "1 2 0:1 /docker/12 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    let own = |groups: &str| parse(mounts, groups)[0].own.clone();
    assert_eq!(own("4:memory:/docker/12\n"), Some("/sys/fs/cgroup/memory".into()));
    assert_eq!(own("4:memory:/docker/12/below\n"), Some("/sys/fs/cgroup/memory/below".into()));
    assert_eq!(own("4:memory:/elsewhere\n"), None);
    assert_eq!(own("4:memory:/docker/12/../34\n"), None);
    assert_eq!(own("0::/docker/12\n"), None);
}

#[test]
fn a_second_mount_counts_when_the_first_doesnt_show_us() {
    let mounts = "1 2 0:1 /a /one rw - cgroup2 none rw\n1 2 0:1 /b /two rw - cgroup2 none rw\n";
    let found = parse(mounts, "0::/b/c\n");
    let expected = Hierarchy {
        version: Version::V2,
        controllers: vec![],
        mount: "/two".into(),
        own: Some("/two/c".into()),
    };
    assert_eq!(found, [expected]);
}

proptest! {
    #[test]
    fn whatever_the_kernel_says_nothing_panics(mounts in "([ -~]| - cgroup2? |\\\\[0-9]{0,3}|\n){0,200}", groups in "([0-9:a-z,/.]|::|\n){0,100}") {
        for hierarchy in parse(&mounts, &groups) {
            if let Some(own) = hierarchy.own {
                prop_assert!(own.starts_with(&hierarchy.mount));
            }
        }
    }

    #[test]
    fn any_limits_are_within_what_the_kernel_takes(cpu_milli: u32, cpu_max_milli: u32, memory: u64, pids: u32, io_weight: u16) {
        let limits = Limits { cpu_milli, cpu_max_milli, memory, pids, io_weight, ..Limits::default() };
        let number = |version, controller, file| -> i64 {
            let settings = limits.settings(version, controller);
            settings.iter().find(|s| s.file == file).unwrap().value.trim_start_matches("default ").parse().unwrap()
        };
        prop_assert!((1..=10_000).contains(&number(Version::V2, Controller::Cpu, "cpu.weight")));
        prop_assert!((2..=262_144).contains(&number(Version::V1, Controller::Cpu, "cpu.shares")));
        prop_assert!((1..=10_000).contains(&number(Version::V2, Controller::Io, "io.weight")));
        prop_assert!(number(Version::V2, Controller::Pids, "pids.max") > 0);
        let quota = number(Version::V1, Controller::Cpu, "cpu.cfs_quota_us");
        prop_assert!(quota == -1 || quota >= 1000);
    }
}

#[test]
fn what_says_nothing_has_the_share_of_one_cpu_in_both_versions() {
    for limits in [Limits::default(), Limits { cpu_milli: 1000, ..Limits::default() }] {
        assert_eq!(limits.settings(Version::V2, Controller::Cpu)[0].value, "250");
        assert_eq!(limits.settings(Version::V1, Controller::Cpu)[0].value, "1024");
    }
}

#[test]
fn shares_are_as_fine_as_a_twentieth() {
    for milli in [25, 50, 75, 10_000, 40_000] {
        let limits = Limits { cpu_milli: milli, ..Limits::default() };
        let of = |version: Version, one: f64| {
            let value: f64 = limits.settings(version, Controller::Cpu)[0].value.parse().unwrap();
            value / one * 1000.0 / f64::from(milli)
        };
        let (v1, v2) = (of(Version::V1, 1024.0), of(Version::V2, 250.0));
        assert!(v1 > 0.95 && v1 <= 1.0 && v2 > 0.95 && v2 <= 1.0, "{milli}: {v1} {v2}");
    }
}

#[test]
fn what_is_not_limited_is_written_as_such() {
    let limits = Limits::default();
    let values = |version, controller| -> Vec<String> {
        limits.settings(version, controller).into_iter().map(|setting| setting.value).collect()
    };
    assert_eq!(values(Version::V2, Controller::Memory), ["1", "0", "max"]);
    assert_eq!(values(Version::V1, Controller::Memory), ["-1", "-1", "-1"]);
    assert_eq!(values(Version::V2, Controller::Cpu)[1], "max 100000");
    assert_eq!(values(Version::V1, Controller::Pids), ["1024"]);
}

#[test]
fn a_folder_is_called_after_the_keeper() {
    assert_eq!(folder_name("1a2b3c4d-5e6f-4071-8293-a4b5c6d7e8f9"), "mesh-1a2b3c4d");
    assert_eq!(folder_name("../../x"), "mesh-x");
}
