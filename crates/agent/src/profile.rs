//! Profiles: how far a workload is confined, as its manifest asks for it (`security.lsm_profile`).

use std::path::{Path, PathBuf};

use membrane::Skin;
use spore::{Manifest, Security};

/// Where the machine keeps programs and what they are made of.
const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt"];
/// What programs ask a machine about: names, certificates, time zones, processors, and themselves.
const FACTS: [&str; 22] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
];
/// Languages whose files in `/etc` carry a version in their names: what begins so is a fact like those above.
const LANGUAGES: [&str; 2] = ["java", "python"];
/// What takes and gives bytes and leads nowhere.
const DEVICES: [&str; 5] = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As any process of the user that `mesh` runs as.
    Open,
    /// To the machine's programs, its own folder, its port and the node's edge.
    Strict,
}

impl Profile {
    /// The one that a manifest names.
    pub(crate) fn of(security: &Security) -> Result<Self, String> {
        match security.lsm_profile.as_str() {
            "default" | "demo" | "unconfined" => Ok(Self::Open),
            "strict" => Ok(Self::Strict),
            other => {
                Err(format!("this node knows no profile {other:?}: there are default, strict and unconfined"))
            }
        }
    }

    /// Whether a program of the machine's can be run.
    pub(crate) fn runs(self, program: &Path) -> bool {
        self == Self::Open || PROGRAMS.iter().any(|folder| program.starts_with(folder))
    }
}

/// What is known of one launch.
pub(crate) struct Place<'a> {
    pub(crate) manifest: &'a Manifest,
    /// Its own folder, with the bundle.
    pub(crate) dir: &'a Path,
    /// What runs it when it isn't native.
    pub(crate) interpreter: Option<&'a Path>,
    /// Its own port; 0 for none.
    pub(crate) port: u16,
    /// The URL of the node's edge, if it has one.
    pub(crate) edge: &'a str,
}

/// What a workload may reach; `None` for all.
pub(crate) fn skin(profile: Profile, place: &Place) -> Option<Skin> {
    if profile == Profile::Open {
        return None;
    }
    let there = |paths: &[&str]| -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
    };
    let mut read = there(&FACTS);
    read.extend(std::fs::read_dir("/etc").into_iter().flatten().flatten().map(|entry| entry.path()).filter(
        |path| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            LANGUAGES.iter().any(|language| name.starts_with(language.as_bytes()))
        },
    ));
    let mut run = there(&PROGRAMS);
    run.push(place.dir.to_owned());
    run.extend(place.interpreter.map(Path::to_owned));
    let mut write = there(&DEVICES);
    if !place.manifest.security.read_only_fs {
        write.push(place.dir.to_owned());
    }
    Some(Skin {
        run,
        read,
        write,
        connect: Some(port(place.edge).into_iter().collect()),
        listen: Some(place.port).filter(|port| *port != 0).into_iter().collect(),
    })
}

/// What a confined workload finds in its environment in place of what it can't reach.
pub(crate) fn environment(
    profile: Profile,
    machine: &[(String, String)],
    dir: &Path,
) -> Vec<(String, String)> {
    let own = |name: &str| profile == Profile::Strict && matches!(name, "HOME" | "TMPDIR");
    let dir = dir.display().to_string();
    let mut all: Vec<_> = machine.iter().filter(|(name, _)| !own(name)).cloned().collect();
    if profile == Profile::Strict {
        all.extend(["HOME", "TMPDIR"].map(|name| (name.to_owned(), dir.clone())));
    }
    all
}

/// The port of a URL that names one.
fn port(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.trim_end_matches('/').parse().ok()
}
