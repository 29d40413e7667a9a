//! What stands in a room's root, and in which order it is put there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use super::act::{self, From, May, Thing};
use super::{Bound, GUEST, Lack, Skin};

/// Its folder for what is temporary: in memory, its own.
pub(in crate::skin) const TMP: &str = "/tmp";
/// Other names of that folder: what is in memory is counted once.
const TMP_TOO: [&str; 2] = ["/var/tmp", "/dev/shm"];
/// Where programs look for descriptors.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];
/// What `/proc` tells of the machine, or does to it, that is nobody's business in a room.
const MASKED: [&str; 12] = [
    "config.gz",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "modules",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
];
/// Folders of `/proc` that are empty in a room.
const EMPTIED: [&str; 4] = ["acpi", "asound", "driver", "scsi"];
/// What of `/proc` can be read and not written.
const FIXED: [&str; 4] = ["bus", "fs", "irq", "sys"];
/// Where it finds what is given to it alone.
pub(in crate::skin) const RUN: &str = "/run";
/// A folder with nothing in it.
const EMPTY: &str = "/var/empty";

/// The options of the root's own file system: it holds names, no content.
pub(super) fn root_options() -> Vec<(&'static CStr, CString)> {
    vec![(c"size", c"1m".into()), (c"mode", c"0755".into())]
}

/// All of it, in order. `taken`: the machine's trees are taken by us, for a guest that couldn't reach them.
pub(super) fn things(skin: &Skin, bound: Vec<Bound>, taken: bool) -> Result<Vec<Thing>, Lack> {
    let mut layout = Layout {
        things: Vec::new(),
        made: BTreeSet::new(),
        mounts: Vec::new(),
        folders: BTreeMap::new(),
        paths: paths(skin),
        taken,
    };
    layout.folder(Path::new(EMPTY))?;
    layout.account(skin)?;
    layout.own_systems(skin)?;
    for (path, to) in LINKS {
        layout.link(Path::new(path), Path::new(to))?;
    }
    for path in TMP_TOO {
        layout.link(Path::new(path), Path::new(TMP))?;
    }
    layout.bind(bound)?;
    for (path, may) in layout.paths.clone() {
        layout.bring(&path, may)?;
    }
    Ok(layout.things)
}

/// What the skin names, parents first; what may be changed wins over what may be looked at.
fn paths(skin: &Skin) -> Vec<(PathBuf, May)> {
    let look = skin.read.iter().chain(&skin.run).map(|path| (path.clone(), May::Read));
    let change = skin.write.iter().chain(&skin.own).map(|path| (path.clone(), May::Write));
    let mut all: Vec<_> = look.chain(change).filter(|(path, _)| !path.starts_with("/proc")).collect();
    all.sort_by(|(a, may_a), (b, may_b)| a.cmp(b).then((*may_b == May::Write).cmp(&(*may_a == May::Write))));
    all.dedup_by(|(later, _), (kept, _)| later == kept);
    all
}

struct Layout {
    things: Vec<Thing>,
    /// Folders that were made, and files and links.
    made: BTreeSet<PathBuf>,
    mounts: Vec<(PathBuf, May)>,
    /// Where folders really are.
    folders: BTreeMap<PathBuf, PathBuf>,
    paths: Vec<(PathBuf, May)>,
    taken: bool,
}

impl Layout {
    /// Who it is, for programs that ask by number.
    fn account(&mut self, skin: &Skin) -> Result<(), Lack> {
        let home = skin.own.first().map_or(TMP.into(), |path| path.to_string_lossy());
        let users = format!("root:x:0:0::/:/bin/false\nguest:x:{GUEST}:{GUEST}::{home}:/bin/false\n");
        let groups = format!("root:x:0:\nguest:x:{GUEST}:\n");
        self.file(Path::new("/etc/passwd"), users.into_bytes())?;
        self.file(Path::new("/etc/group"), groups.into_bytes())
    }

    fn own_systems(&mut self, skin: &Skin) -> Result<(), Lack> {
        let size = text(format!("{}m", skin.tmp_mb).as_bytes())?;
        let tmp = vec![(c"size", size), (c"nr_inodes", c"16k".into()), (c"mode", c"1777".into())];
        self.system(c"tmpfs", tmp, Path::new(TMP), May::Write)?;
        self.system(c"proc", Vec::new(), Path::new("/proc"), May::Keep)?;
        let masks =
            MASKED.iter().map(|name| ("dev/null", name)).chain(EMPTIED.iter().map(|n| (&EMPTY[1..], n)));
        let null = Path::new("/dev/null");
        self.bring(null, May::Write)?;
        for (from, name) in masks {
            let at = relative(Path::new(&format!("/proc/{name}")))?;
            // Which of them there are depends on the kernel.
            if Path::new("/proc").join(name).exists() {
                let from = From::Room(text(from.as_bytes())?);
                self.things.push(Thing::Tree { from, at, may: May::Read });
            }
        }
        for name in FIXED {
            let at = relative(Path::new(&format!("/proc/{name}")))?;
            self.things.push(Thing::Tree { from: From::Room(at.clone()), at, may: May::Read });
        }
        Ok(())
    }

    /// What is given to it alone, in memory and fixed.
    fn bind(&mut self, bound: Vec<Bound>) -> Result<(), Lack> {
        if bound.is_empty() {
            return Ok(());
        }
        let at = Path::new(RUN);
        let options = vec![(c"size", c"16m".into()), (c"mode", c"0755".into())];
        self.system(c"tmpfs", options, at, May::Keep)?;
        for Bound { name, content } in bound {
            let path = at.join(&name);
            let plain = path.components().skip(2).all(|part| matches!(part, Component::Normal(_)));
            if !plain || !path.starts_with(at) || path == at {
                return Err(Lack::Refused(format!("a file can't be called {name:?}")));
            }
            self.parents(&path)?;
            if !self.made.insert(path.clone()) {
                return Err(Lack::Refused(format!("two files are called {name:?}")));
            }
            self.things.push(Thing::Copy(content, relative(&path)?));
        }
        self.things.push(Thing::Fixed(relative(at)?));
        Ok(())
    }

    /// Something of the machine's, under the path that it has there.
    fn bring(&mut self, path: &Path, may: May) -> Result<(), Lack> {
        let lost = |source| Lack::Path { path: path.to_owned(), source };
        if self.made.contains(path) {
            return Ok(());
        }
        let kind = std::fs::symlink_metadata(path).map_err(lost)?;
        // Most are none, and lead through none.
        let real = if kind.is_symlink() { path.canonicalize() } else { self.resolve(path) }.map_err(lost)?;
        if kind.is_symlink()
            && self.paths.iter().any(|(named, _)| named != path && real.starts_with(named))
            && !self.mounts.iter().any(|(at, _)| path.starts_with(at))
        {
            let to = std::fs::read_link(path).map_err(lost)?;
            return self.link(path, &to);
        }
        let around = self.mounts.iter().rev().find(|(at, _)| path.starts_with(at));
        if around.is_some_and(|(_, there)| *there == may) {
            return Ok(());
        }
        let kind = if kind.is_symlink() { std::fs::metadata(&real).map_err(lost)? } else { kind };
        if around.is_none() {
            if kind.is_dir() { self.folder(path) } else { self.file(path, Vec::new()) }?;
        }
        let may = if kind.file_type().is_char_device() { May::Use } else { may };
        let name = text(real.as_os_str().as_bytes())?;
        let from =
            if self.taken { From::Taken(act::take(&name).map_err(lost)?) } else { From::Machine(name) };
        self.things.push(Thing::Tree { from, at: relative(path)?, may });
        self.mounts.push((path.to_owned(), may));
        Ok(())
    }

    /// Where a path leads that is no link itself.
    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(path.to_owned());
        };
        if !self.folders.contains_key(parent) {
            self.folders.insert(parent.to_owned(), parent.canonicalize()?);
        }
        Ok(self.folders.get(parent).map_or_else(|| path.to_owned(), |real| real.join(name)))
    }

    fn system(
        &mut self,
        kind: &'static CStr,
        options: Vec<(&'static CStr, CString)>,
        at: &Path,
        may: May,
    ) -> Result<(), Lack> {
        self.folder(at)?;
        self.things.push(Thing::System { kind, options, at: relative(at)?, may });
        Ok(())
    }

    fn file(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(), Lack> {
        self.parents(path)?;
        if self.made.insert(path.to_owned()) {
            self.things.push(Thing::File(relative(path)?, bytes));
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, to: &Path) -> Result<(), Lack> {
        self.parents(path)?;
        if self.made.insert(path.to_owned()) {
            self.things.push(Thing::Link(relative(path)?, text(to.as_os_str().as_bytes())?));
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<(), Lack> {
        self.parents(path)?;
        if path.parent().is_some() && self.made.insert(path.to_owned()) {
            self.things.push(Thing::Folder(relative(path)?));
        }
        Ok(())
    }

    fn parents(&mut self, path: &Path) -> Result<(), Lack> {
        path.parent().map_or(Ok(()), |parent| self.folder(parent))
    }
}

/// The path without its first slash.
fn relative(path: &Path) -> Result<CString, Lack> {
    text(path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes())
}

pub(super) fn text(bytes: &[u8]) -> Result<CString, Lack> {
    CString::new(bytes)
        .map_err(|_| Lack::Refused(format!("a zero byte stands in {:?}", bytes.escape_ascii())))
}
