//! Where the keeper may have its folder in each hierarchy, and what it can limit from there.
//!
//! In v2 that is, in this order: what systemd delegated to us; the topmost group of ours, or the true root; our own
//! group. Processes and controllers don't go together there (`cgroups(7)`, "no internal processes"), so a group that
//! holds processes comes last: then they, this one included, are moved to a leaf beside the folder. In v1 it is our own group,
//! so that whatever limits us limits the workloads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::mounts::Hierarchy;
use super::{Budgets, Controller, Folder, Hold, Version, files, sweep};

/// What is limited, in the order of [`Budgets`].
const LIMITED: [Controller; 4] = [Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io];
/// How often processes are moved until none is left that was made meanwhile.
const MOVES: usize = 100;
/// What makes a share of the disks hold, by the scheduler in use.
const IO_WEIGHTS: [&str; 4] = ["io.weight", "io.bfq.weight", "blkio.weight", "blkio.bfq.weight"];
/// Set by systemd on a group that is its unit's own (`systemd.resource-control(5)`, `Delegate=`).
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// Folders, made and empty, and what can be done with them.
pub(super) struct Found {
    pub folders: Vec<Folder>,
    pub budgets: Budgets,
}

impl Found {
    /// No folder at all.
    pub fn nothing(reason: &str) -> Self {
        let not = || Hold::Not(reason.to_owned());
        let budgets = Budgets { cpu: not(), memory: not(), pids: not(), io: not(), kill: not() };
        Self { folders: Vec::new(), budgets }
    }
}

/// Makes the keeper's folder `name` wherever it is of use.
pub(super) fn find(hierarchies: &[Hierarchy], name: &str) -> Found {
    let (mut folders, mut lack) = (Vec::new(), "no cgroup v2 is mounted".to_owned());
    if let Some(tree) = hierarchies.iter().find(|hierarchy| hierarchy.version == Version::V2) {
        match make_v2(tree, name) {
            Ok(folder) => {
                let parent = folder.path.parent().unwrap_or(&folder.path);
                lack = format!("{} has no such controller for those below it", parent.display());
                folders.push(folder);
            }
            Err(error) => lack = error,
        }
    }
    let [cpu, memory, pids, io] = LIMITED.map(|controller| {
        let hold = hold(controller, hierarchies, name, &mut folders, &lack);
        if controller == Controller::Io { weighed(hold, &folders) } else { hold }
    });
    let kill = if folders.iter().any(|folder| folder.file("cgroup.kill").exists()) {
        Hold::By(Version::V2)
    } else {
        hold(Controller::Freezer, hierarchies, name, &mut folders, &lack)
    };
    if !folders.iter().any(|folder| folder.version == Version::V2) {
        // without it v1 doesn't know what the CPU did; not knowing is no lack of a budget
        let _ = hold(Controller::Cpuacct, hierarchies, name, &mut folders, &lack);
    }
    Found { folders, budgets: Budgets { cpu, memory, pids, io, kill } }
}

/// Who holds workloads to their budget of one kind; a folder of v1 is made for it when v2 can't.
fn hold(
    controller: Controller,
    hierarchies: &[Hierarchy],
    name: &str,
    folders: &mut Vec<Folder>,
    lack: &str,
) -> Hold {
    if let Some(folder) = folders.iter().find(|folder| folder.has(controller)) {
        return Hold::By(folder.version);
    }
    match hierarchies.iter().find(|hierarchy| hierarchy.controllers.contains(&controller)) {
        None => Hold::Not(lack.to_owned()),
        Some(hierarchy) => match make_v1(hierarchy, name) {
            Ok(folder) => {
                folders.push(folder);
                Hold::By(Version::V1)
            }
            Err(error) => Hold::Not(error),
        },
    }
}

/// The controller of disks alone doesn't make shares hold.
fn weighed(hold: Hold, folders: &[Folder]) -> Hold {
    let Some(folder) = folders.iter().find(|folder| folder.has(Controller::Io)) else { return hold };
    if IO_WEIGHTS.iter().any(|file| folder.file(file).exists()) {
        return hold;
    }
    Hold::Not("no scheduler of this kernel's disks knows shares (it needs `iocost` or BFQ)".to_owned())
}

fn make_v1(hierarchy: &Hierarchy, name: &str) -> Result<Folder, String> {
    let own = own(hierarchy)?;
    if !is_ours(own) {
        return Err(format!("only the owner of {} can: run mesh as root", own.display()));
    }
    let path = make(own, name).map_err(|error| error.to_string())?;
    if hierarchy.controllers.contains(&Controller::Cpu) {
        // Beside it run single tasks, the edge's too, and each counts as much as one group does by default: all workloads
        // together would be worth one thread. In v2 there are only groups.
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let _ = files::write(&path.join("cpu.shares"), &(cpus * 1024).to_string());
    }
    Ok(Folder { version: Version::V1, path, controllers: hierarchy.controllers.clone() })
}

fn make_v2(hierarchy: &Hierarchy, name: &str) -> Result<Folder, String> {
    let own = own(hierarchy)?;
    let place = place_v2(&hierarchy.mount, own).ok_or_else(|| {
        let way = "run mesh as a unit with Delegate=yes (`mesh node unit` writes one), or as root";
        format!("no cgroup from {} upward is this user's: {way}", own.display())
    })?;
    let path = make(&place, name).map_err(|error| error.to_string())?;
    let offered = offered(&place).map_err(|error| error.to_string())?;
    if !offered.is_empty() && holds_processes(&hierarchy.mount, &place) {
        move_out(&place, name).map_err(|error| error.to_string())?;
    }
    let enabled = offered.into_iter().filter(|controller| enable(&place, &path, *controller).is_ok());
    let controllers = enabled.collect();
    Ok(Folder { version: Version::V2, path, controllers })
}

fn own(hierarchy: &Hierarchy) -> Result<&Path, String> {
    let lost = || format!("{} doesn't show the group that this process is in", hierarchy.mount.display());
    hierarchy.own.as_deref().ok_or_else(lost)
}

/// The group in which the keeper's folder goes; `None` when we may change none.
fn place_v2(mount: &Path, own: &Path) -> Option<PathBuf> {
    let ours: Vec<&Path> = own
        .ancestors()
        .take_while(|group| group.starts_with(mount))
        .filter(|group| is_ours(group) && is_writable(&group.join("cgroup.subtree_control")))
        .collect();
    let free = |group: &&&Path| !holds_processes(mount, group);
    let delegated = ours.iter().filter(|group| is_delegated(group)).find(free);
    let topmost = || ours.iter().rev().find(free);
    let itself = || ours.first().filter(|group| **group == own);
    delegated.or_else(topmost).or_else(itself).map(|group| group.to_path_buf())
}

/// Whether we may make groups in it, and move processes there.
fn is_ours(group: &Path) -> bool {
    rustix::fs::access(group, Access::WRITE_OK | Access::EXEC_OK).is_ok()
        && is_writable(&group.join("cgroup.procs"))
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK).is_ok()
}

fn is_delegated(group: &Path) -> bool {
    DELEGATED.iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    })
}

/// Whether its processes stand in the way of controllers below it. At the root of all, they don't.
fn holds_processes(mount: &Path, group: &Path) -> bool {
    let root = group == mount && !group.join("cgroup.events").exists();
    // processes that can't be seen from here are shown as 0
    !root && files::read(&group.join("cgroup.procs")).is_ok_and(|text| !text.trim().is_empty())
}

/// The controllers that a group can give to those below it.
fn offered(place: &Path) -> io::Result<Vec<Controller>> {
    let text = files::read(&place.join("cgroup.controllers"))?;
    let named = |name: &str| LIMITED.into_iter().find(|controller| controller.name_v2() == Some(name));
    Ok(text.split_ascii_whitespace().filter_map(named).collect())
}

/// Gives a controller to the folder, and to the groups below it.
fn enable(place: &Path, folder: &Path, controller: Controller) -> io::Result<()> {
    let text = format!("+{}", controller.name_v2().unwrap_or_default());
    files::write(&place.join("cgroup.subtree_control"), &text)?;
    files::write(&folder.join("cgroup.subtree_control"), &text)
}

/// Moves all processes of a group to a leaf beside the folder.
fn move_out(place: &Path, name: &str) -> io::Result<()> {
    let leaf = make_folder(&place.join(format!("{name}-keeper")))?.0.join("cgroup.procs");
    for _ in 0..MOVES {
        let processes = files::processes(place)?;
        if processes.is_empty() {
            return Ok(());
        }
        for pid in processes {
            match files::write(&leaf, &pid.to_string()) {
                Err(error) if Path::new(&format!("/proc/{pid}")).exists() => return Err(error),
                _ => {}
            }
        }
    }
    Err(io::Error::other(format!(
        "{} always has new processes, which stand in the way of limits",
        place.display()
    )))
}

/// The folder, without what a predecessor left in it; when there was none, what others left is looked at, too.
fn make(place: &Path, name: &str) -> io::Result<PathBuf> {
    let (path, new) = make_folder(&place.join(name))?;
    if new {
        sweep::abandoned(place, name);
    } else {
        sweep::empty(&path)?;
    }
    Ok(path)
}

fn make_folder(path: &Path) -> io::Result<(PathBuf, bool)> {
    match fs::create_dir(path) {
        Ok(()) => Ok((path.to_owned(), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((path.to_owned(), false)),
        Err(error) => Err(files::named(&format!("make {}", path.display()), &error)),
    }
}
