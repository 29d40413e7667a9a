//! Which hierarchies are mounted, and where in each this process stands: `/proc/self/mountinfo` and `cgroup` (`proc(5)`,
//! `cgroups(7)`).

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::{Controller, Version, files};

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub version: Version,
    /// Of a v1 hierarchy; those of v2 differ from group to group.
    pub controllers: Vec<Controller>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The group this process is in, below the mount; `None` when it can't be reached from there.
    pub own: Option<PathBuf>,
}

/// Those of this process.
pub(super) fn read() -> io::Result<Vec<Hierarchy>> {
    let mounts = files::read(Path::new("/proc/self/mountinfo"))?;
    let groups = files::read(Path::new("/proc/self/cgroup"))?;
    Ok(parse(&mounts, &groups))
}

/// The first mount of each hierarchy in which we can be found.
pub(super) fn parse(mounts: &str, groups: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        let own = mount.own(groups);
        let hierarchy = Hierarchy {
            version: mount.version,
            controllers: mount.options.split(',').filter_map(Controller::of_v1).collect(),
            mount: mount.point,
            own,
        };
        let same = |other: &&mut Hierarchy| {
            other.version == hierarchy.version && other.controllers == hierarchy.controllers
        };
        match found.iter_mut().find(same) {
            Some(other) if other.own.is_none() => *other = hierarchy,
            Some(_) => {}
            None => found.push(hierarchy),
        }
    }
    found.retain(|hierarchy| hierarchy.version == Version::V2 || !hierarchy.controllers.is_empty());
    found
}

/// A line of `mountinfo` that is about cgroups.
struct Mount<'a> {
    version: Version,
    /// What of the hierarchy is mounted.
    root: PathBuf,
    point: PathBuf,
    /// What v1 names its controllers in.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `31 23 0:28 /root /point rw,relatime shared:1 - cgroup name rw,cpu`
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (unescape(left.next()?), unescape(left.next()?));
        let mut right = right.split(' ');
        let version = match right.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let options = if version == Version::V1 { right.nth(1)? } else { "" };
        Some(Self { version, root, point, options })
    }

    /// Our group in it: the line `5:cpu,cpuacct:/path`, or `0::/path` for v2.
    fn own(&self, groups: &str) -> Option<PathBuf> {
        let path = groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let ours = match self.version {
                Version::V2 => controllers.is_empty(),
                Version::V1 => {
                    !controllers.is_empty()
                        && controllers.split(',').all(|c| self.options.split(',').any(|o| o == c))
                }
            };
            ours.then_some(Path::new(path))
        })?;
        let below = path.strip_prefix(&self.root).ok()?;
        // `/../x`: outside of the namespace that this is seen from
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| if below.as_os_str().is_empty() { self.point.clone() } else { self.point.join(below) })
    }
}

impl Controller {
    /// By its name in v1.
    pub(super) fn of_v1(name: &str) -> Option<Self> {
        Some(match name {
            "cpu" => Self::Cpu,
            "cpuacct" => Self::Cpuacct,
            "memory" => Self::Memory,
            "pids" => Self::Pids,
            "blkio" => Self::Io,
            "freezer" => Self::Freezer,
            _ => return None,
        })
    }

    /// Its name in v2, when it has one there.
    pub(super) fn name_v2(self) -> Option<&'static str> {
        Some(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io => "io",
            Self::Cpuacct | Self::Freezer => return None,
        })
    }
}

/// Undoes `\040` and the like.
fn unescape(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = octal.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}
