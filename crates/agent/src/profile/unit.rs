//! A profile as a unit of systemd (`systemd.exec(5)`), to be compared with others and judged by `systemd-analyze security`.
//!
//! It says what is enforced on this machine, in systemd's words, and nothing that isn't: by namespaces, seccomp, Landlock and
//! capabilities as systemd itself does it, or by what has the same effect. Nobody starts anything from it.

use membrane::{By, Layers};

use super::{Files, Profile};

/// The unit of a profile where there are these layers; why it can't be kept there.
pub fn unit(name: &str, profile: &Profile, layers: &Layers) -> Result<String, String> {
    layers.confine(profile.kept.by)?;
    if profile.kept.user {
        layers.user.clone()?;
    }
    let mut all = head(name, profile);
    all.extend(rights());
    if layers.room.is_ok() && profile.kept.by != By::Landlock {
        all.extend(room(profile, layers.user.is_ok()));
    }
    all.extend(network(profile, layers));
    all.extend(calls(!profile.network.edge));
    all.push(String::new());
    Ok(all.join("\n"))
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn head(name: &str, profile: &Profile) -> Vec<String> {
    let for_whom = if profile.network.edge {
        "# A service: it listens on its own port, and connects to the node's edge. What its plan names comes on top of it."
    } else {
        "# A worker or a job for which the plan names nothing to reach. A service has TCP sockets for its port."
    };
    let mut all = lines(&[
        "# What this machine enforces for a workload. `systemd-analyze security --offline=true FILE` judges it.",
        for_whom,
        "[Unit]",
    ]);
    all.push(format!("Description=A workload of Mycelium, confined by the profile {name}"));
    all.extend(lines(&["", "[Service]", "ExecStart=/usr/bin/true"]));
    all
}

/// What it is without, wherever it runs.
fn rights() -> Vec<String> {
    lines(&[
        "",
        "# No capability, no way to one",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "NoNewPrivileges=yes",
        "",
        "# What neither seccomp nor the files that there are lead to",
        "DevicePolicy=closed",
        "KeyringMode=private",
        "LockPersonality=yes",
        "NotifyAccess=none",
        "Delegate=no",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "",
        "# How every workload begins",
        "LimitCORE=1",
        "UMask=0022",
    ])
}

/// What a root and namespaces of its own keep from it.
fn room(profile: &Profile, own_user: bool) -> Vec<String> {
    let mut all = lines(&["", "# Namespaces, and a root that holds this and no more"]);
    let there = |patterns: &[String]| {
        let paths = Files::there(patterns).into_iter().filter(|path| !path.starts_with("/proc"));
        paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    all.push("TemporaryFileSystem=/:ro".to_owned());
    all.push(format!("BindReadOnlyPaths={}", there(&profile.files.run)));
    all.push(format!("BindReadOnlyPaths={}", there(&profile.files.read)));
    all.push(format!("BindPaths={}", there(&profile.files.write)));
    if own_user {
        all.push("# A number that nobody else on the machine has, while it lives".to_owned());
        all.push("DynamicUser=yes".to_owned());
    } else if !rustix::process::geteuid().is_root() {
        all.push("# All workloads are this user, outside of their namespaces".to_owned());
        all.push(format!("User={}", rustix::process::geteuid().as_raw()));
    }
    all.extend(lines(&[
        "PrivateDevices=yes",
        "PrivateIPC=yes",
        "PrivateMounts=yes",
        "PrivateTmp=yes",
        "PrivateUsers=yes",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        "RemoveIPC=yes",
    ]));
    all
}

/// What it has of the network.
fn network(profile: &Profile, layers: &Layers) -> Vec<String> {
    if !profile.network.edge {
        let mut all = lines(&["", "# No sockets but pairs", "RestrictAddressFamilies=none"]);
        if layers.room.is_ok() && profile.kept.by != By::Landlock {
            all.push("PrivateNetwork=yes".to_owned());
        }
        if layers.exact(profile.kept.by).is_ok() {
            all.push("IPAddressDeny=any".to_owned());
        }
        return all;
    }
    let mut all = lines(&[
        "",
        "# TCP, and netlink for routes alone",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK",
    ]);
    if layers.exact(profile.kept.by).is_ok() {
        if layers.reach.is_err() {
            all.extend(lines(&["# Of its own: a relay passes on what it may reach", "PrivateNetwork=yes"]));
        }
        all.extend(lines(&[
            "# By port, too: the edge's and its own",
            "IPAddressDeny=any",
            "IPAddressAllow=localhost",
        ]));
    } else {
        all.push("# By port alone: it takes eBPF or a network of its own to know addresses".to_owned());
    }
    all
}

fn calls(offline: bool) -> Vec<String> {
    let mut names: Vec<_> = membrane::allowed_calls(offline).collect();
    names.sort_unstable();
    let mut all = lines(&["", "# What isn't on the list doesn't exist", "SystemCallArchitectures=native"]);
    all.push("SystemCallErrorNumber=ENOSYS".to_owned());
    all.extend(names.chunks(12).map(|some| format!("SystemCallFilter={}", some.join(" "))));
    all
}
