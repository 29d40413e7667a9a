//! The group of one replica: in each hierarchy that limits something, a folder of the same name.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::EventfdFlags;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::wire::GroupAt;

use super::limits::Setting;
use super::{Controller, Folder, Limits, Version, files, slice, sweep};

/// How long a name gets; the kernel takes 255 bytes.
const MAX_NAME: usize = 200;
/// How many of the same name there may be.
const MAX_TWINS: usize = 1000;

/// The group of one replica. It stays when this is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(super) folders: Vec<Folder>,
}

/// What a child needs to be in its group from its first instruction.
#[derive(Debug)]
pub(crate) struct Doors {
    /// The folder in the v2 tree, for `CLONE_INTO_CGROUP`.
    pub into: Option<OwnedFd>,
    /// Files of v1 that the child writes "0" to while it has one thread. They are `tasks`, not `cgroup.procs`: the move of
    /// one thread by itself waits for no other process of the machine, which took up to 15 ms a hierarchy.
    pub tasks: Vec<OwnedFd>,
}

/// What is known of lacks of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Oom {
    /// How many of its processes the kernel has killed because memory ran out, the group's or the machine's.
    pub kills: u64,
    /// How often its own limit was what ran out; v1 doesn't count that.
    pub own: Option<u64>,
}

/// What it has used so far and uses now; `None` where nobody counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Microseconds of CPU.
    pub cpu_usec: Option<u64>,
    /// Bytes of memory now.
    pub memory: Option<u64>,
    /// The most it ever had.
    pub memory_peak: Option<u64>,
    /// Of the memory, what only holds content of files that wasn't asked for again: it goes when memory is short.
    pub memory_cache: Option<u64>,
    /// Processes and threads now.
    pub pids: Option<u64>,
    /// Bytes read from disks and written to them.
    pub io_bytes: Option<u64>,
}

/// What one workload with limits uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The id it was spawned with.
    pub id: String,
    /// What it is held to now.
    pub limits: Limits,
    /// What it has used so far and uses now.
    pub usage: Usage,
}

impl Group {
    /// Makes it with its limits.
    pub(super) fn make(parents: &[Folder], id: &str, limits: &Limits) -> io::Result<Self> {
        let name = file_name(id);
        for twin in 0..MAX_TWINS {
            let name = if twin == 0 { name.clone() } else { format!("{name}.{twin}") };
            match Self::try_make(parents, &name) {
                Ok(group) => {
                    return match group.set(limits) {
                        Ok(()) => Ok(group),
                        Err(error) => {
                            group.remove();
                            Err(error)
                        }
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("too many groups called {name} don't go away")))
    }

    fn try_make(parents: &[Folder], name: &str) -> io::Result<Self> {
        let mut group = Self { folders: Vec::new() };
        for parent in parents {
            let folder = Folder { path: parent.path.join(name), ..parent.clone() };
            if let Err(error) = fs::create_dir(&folder.path) {
                group.remove();
                return Err(files::named(&format!("make {}", folder.path.display()), &error));
            }
            group.folders.push(folder);
        }
        Ok(group)
    }

    /// Where it is in the v2 hierarchy, if it is there.
    pub fn at(&self) -> Option<GroupAt> {
        use std::os::unix::fs::MetadataExt as _;
        let folder = self.folders.iter().find(|folder| folder.version == Version::V2)?;
        let id = fs::metadata(&folder.path).ok()?.ino();
        Some(GroupAt { id, path: folder.path.clone() })
    }

    /// Changes its limits while it runs.
    pub fn set(&self, limits: &Limits) -> io::Result<()> {
        for folder in &self.folders {
            Self::write(folder, folder.controllers.iter().flat_map(|c| limits.settings(folder.version, *c)))?;
        }
        Ok(())
    }

    /// Changes its limits from those that it was given last.
    pub fn change(&self, from: &Limits, to: &Limits) -> io::Result<()> {
        for folder in &self.folders {
            let settings = |limits: &Limits, controller| limits.settings(folder.version, controller);
            let differs = |c: &&Controller| settings(from, **c) != settings(to, **c);
            let controllers = folder.controllers.iter().filter(differs);
            Self::write(folder, controllers.flat_map(|c| settings(to, *c)))?;
        }
        Ok(())
    }

    fn write(folder: &Folder, settings: impl Iterator<Item = Setting>) -> io::Result<()> {
        for setting in settings {
            match files::write(&folder.file(setting.file), &setting.value) {
                Err(error) if !setting.optional || folder.file(setting.file).exists() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Has all that run in it go first when they wake, or no more. What they start meanwhile may be missed.
    pub fn hurry(&self, first: bool) {
        let Some(folder) = self.folders.first() else { return };
        let file = if folder.version == Version::V2 { "cgroup.threads" } else { "tasks" };
        for thread in files::numbers(&folder.file(file)).unwrap_or_default() {
            slice::set(thread, first);
        }
    }

    /// Whether all of it is there still.
    pub fn is_there(&self) -> bool {
        self.folders.iter().all(|folder| folder.path.exists())
    }

    /// What a child needs to be born in it.
    pub fn doors(&self) -> io::Result<Doors> {
        let mut doors = Doors { into: None, tasks: Vec::new() };
        for folder in &self.folders {
            let open = |path: &Path, flags| {
                let opened = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
                opened.map_err(|error| files::named(&format!("open {}", path.display()), &error.into()))
            };
            match folder.version {
                Version::V2 => doors.into = Some(open(&folder.path, OFlags::RDONLY | OFlags::DIRECTORY)?),
                Version::V1 => doors.tasks.push(open(&folder.file("tasks"), OFlags::WRONLY)?),
            }
        }
        Ok(doors)
    }

    /// Kills whoever is in it. With v2 once is enough, else it is to be repeated while it is [populated](Group::is_populated).
    pub fn kill(&self) {
        match self.killer() {
            Some(folder) => sweep::kill(&folder.path),
            None => self.folders.iter().for_each(|folder| sweep::kill(&folder.path)),
        }
    }

    /// Whether anybody is in it. The dead that nobody has reaped don't count in v2.
    pub fn is_populated(&self) -> bool {
        self.folders.iter().any(|folder| match folder.version {
            Version::V2 => files::keyed(&folder.file("cgroup.events"), "populated") == Some(1),
            Version::V1 => is_populated_v1(&folder.path),
        })
    }

    /// Removes it; false when somebody is still in it.
    pub fn remove(&self) -> bool {
        self.folders.iter().filter(|folder| !sweep::remove(&folder.path)).count() == 0
    }

    /// What has happened for lack of memory; `None` when nobody counts it.
    pub fn oom(&self) -> Option<Oom> {
        let folder = self.of(Controller::Memory)?;
        match folder.version {
            Version::V2 => {
                let kills = files::keyed(&folder.file("memory.events"), "oom_kill")?;
                Some(Oom { kills, own: files::keyed(&folder.file("memory.events"), "oom") })
            }
            Version::V1 => {
                Some(Oom { kills: files::keyed(&folder.file("memory.oom_control"), "oom_kill")?, own: None })
            }
        }
    }

    /// Becomes readable when its memory runs out, before anybody is killed. Only v1 needs it: there the kernel kills one
    /// process, and the rest is ours to kill; in v2 it kills them all, the main one included, whose end is seen anyhow.
    /// It also becomes readable when the group is removed.
    pub fn watch_oom(&self) -> io::Result<Option<OwnedFd>> {
        let Some(folder) = self.of(Controller::Memory).filter(|folder| folder.version == Version::V1) else {
            return Ok(None);
        };
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = fs::File::open(folder.file("memory.oom_control"))?;
        use std::os::fd::AsRawFd;
        let text = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        files::write(&folder.file("cgroup.event_control"), &text)?;
        Ok(Some(event))
    }

    /// What it uses.
    pub fn usage(&self) -> Usage {
        let file = |controller, v2: &str, v1: &str| -> Option<PathBuf> {
            let folder = self.of(controller)?;
            Some(folder.file(if folder.version == Version::V2 { v2 } else { v1 }))
        };
        let number = |controller, v2: &str, v1: &str| files::number(&file(controller, v2, v1)?);
        let cpu_v1 = || Some(number(Controller::Cpuacct, "", "cpuacct.usage")? / 1000);
        let v2 = self.folders.iter().find(|folder| folder.version == Version::V2);
        Usage {
            cpu_usec: v2
                .and_then(|folder| files::keyed(&folder.file("cpu.stat"), "usage_usec"))
                .or_else(cpu_v1),
            memory: number(Controller::Memory, "memory.current", "memory.usage_in_bytes"),
            memory_peak: number(Controller::Memory, "memory.peak", "memory.max_usage_in_bytes"),
            memory_cache: file(Controller::Memory, "memory.stat", "memory.stat").and_then(|path| {
                let v1 = || files::keyed(&path, "total_inactive_file");
                v1().or_else(|| files::keyed(&path, "inactive_file"))
            }),
            pids: number(Controller::Pids, "pids.current", "pids.current"),
            io_bytes: file(Controller::Io, "io.stat", "blkio.throttle.io_service_bytes_recursive")
                .and_then(|path| fs::read_to_string(path).ok())
                .map(|text| io_bytes(&text)),
        }
    }

    fn of(&self, controller: Controller) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.has(controller))
    }

    /// The folder through which all are killed.
    fn killer(&self) -> Option<&Folder> {
        let v2 = self.folders.iter().find(|folder| folder.file("cgroup.kill").exists());
        v2.or_else(|| self.of(Controller::Freezer))
    }
}

fn is_populated_v1(group: &Path) -> bool {
    let itself = fs::read(group.join("cgroup.procs")).is_ok_and(|text| !text.is_empty());
    itself || files::children(group).iter().any(|child| is_populated_v1(child))
}

/// Of lines `8:0 rbytes=1 wbytes=2 …` (v2) or `8:0 Read 1` and `8:0 Write 2` (v1).
fn io_bytes(text: &str) -> u64 {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    let of = |line: &str| -> u64 {
        let mut words = line.split_ascii_whitespace().skip(1).peekable();
        match words.peek() {
            Some(&("Read" | "Write")) => words.nth(1).map_or(0, number),
            _ => words
                .filter_map(|word| word.strip_prefix("rbytes=").or_else(|| word.strip_prefix("wbytes=")))
                .map(number)
                .sum(),
        }
    };
    text.lines().map(of).sum()
}

/// A replica's id as the name of a group: what the kernel could take for its own files (they have dots) is replaced.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = id.chars().map(plain).take(MAX_NAME).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}
