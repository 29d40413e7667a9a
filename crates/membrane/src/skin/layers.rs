//! Layers: what this machine lets us confine workloads with, found out by trying.

use std::io;

use rustix::event::Timespec;
use serde::{Deserialize, Serialize};

use super::wear::landlock_version;
use super::{By, Lack, Skin, room};
use crate::bpf;

/// The first version of Landlock that keeps all promises by itself: files, truncation, TCP, devices, signals and abstract
/// sockets (Linux 6.12).
const WHOLE: i32 = 6;
/// The first that knows TCP ports (Linux 6.7).
const PORTS: i32 = 4;

/// After which times it is tried again to make a room.
const PAUSES: [Timespec; 3] = [pause(10), pause(100), pause(500)];

const fn pause(millis: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 }
}

/// What there is to confine workloads with, and why something is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Namespaces and a root of its own.
    pub room: Result<(), String>,
    /// A user of its own.
    pub user: Result<(), String>,
    /// The version of Landlock.
    pub landlock: Result<i32, String>,
    /// Programs at its group, which know addresses and UDP, and see what it does.
    pub reach: Result<(), String>,
    /// A network of its own in its room, which knows them as well, and sees nothing.
    pub network: Result<(), String>,
}

/// The same, ready to be used.
#[derive(Debug)]
pub(crate) struct Means {
    room: Result<room::Means, String>,
    network: Result<(), String>,
    landlock: Result<i32, String>,
    /// There is no room, or no network for it, and there may be one when the machine has less to do.
    may_pass: bool,
}

impl Layers {
    /// Finds out. It makes a room and leaves it: some milliseconds; more where that fails for no lasting reason.
    #[must_use]
    pub fn find() -> Self {
        let mut found = Means::find();
        for pause in PAUSES {
            // What a busy machine couldn't do is no fact about it.
            if found.are_final() {
                break;
            }
            // No event tells of it.
            let _ = rustix::event::poll(&mut [], Some(&pause));
            found = Means::find();
        }
        found.layers()
    }

    /// Whether a workload can be confined here; why not.
    pub fn confine(&self, by: By) -> Result<(), String> {
        check(self.room.as_ref(), self.landlock.as_ref(), by, self.exact(by).is_err()).map(drop)
    }

    /// Whether a workload that is kept so can be kept to addresses and UDP; why not.
    pub fn exact(&self, by: By) -> Result<(), String> {
        match (&self.reach, &self.network) {
            (Ok(()), _) => Ok(()),
            (Err(_), Ok(())) if by != By::Landlock => Ok(()),
            (Err(programs), Ok(())) => Err(programs.clone()),
            (Err(programs), Err(network)) => Err(format!("{programs}; and {network}")),
        }
    }
}

impl Means {
    pub(crate) fn find() -> Self {
        let landlock = landlock_version().map_err(|error| match error.raw_os_error() {
            Some(libc::EOPNOTSUPP) => "it was started without Landlock (boot option `lsm=`)".to_owned(),
            _ => "its kernel has no Landlock (Linux 6.12 has it whole)".to_owned(),
        });
        let (mut network, mut busy) = (Ok(()), false);
        let room = room::Means::find().and_then(|means| {
            // One with a network has all that one without has.
            if let Err(error) = means.attempt(true) {
                means.attempt(false)?;
                busy = may_pass(&error);
                network = Err(format!("it can't make networks for rooms: {error}"));
            }
            Ok(means)
        });
        let may_pass = busy || room.as_ref().is_err_and(may_pass);
        let room = room.map_err(|error| no_room(&error));
        let network = network.and(room.as_ref().map(|_| ()).map_err(Clone::clone));
        Self { room, network, landlock, may_pass }
    }

    /// Whether a room can have a network of its own; why not.
    pub(crate) fn network(&self) -> Result<(), String> {
        self.network.clone()
    }

    /// Whether they stay as they are: a room could be made, or will never be.
    pub(crate) const fn are_final(&self) -> bool {
        !self.may_pass
    }

    pub(crate) fn layers(&self) -> Layers {
        let user = match &self.room {
            Err(reason) => Err(reason.clone()),
            Ok(means) if means.own_user() => Ok(()),
            Ok(_) if rustix::process::geteuid().is_root() => {
                Err("this user namespace has no other users to give".to_owned())
            }
            Ok(_) => Err("only root can give each replica a user of its own".to_owned()),
        };
        Layers {
            room: self.room.as_ref().map(|_| ()).map_err(Clone::clone),
            user,
            landlock: self.landlock.clone(),
            reach: bpf::possible(),
            network: self.network.clone(),
        }
    }

    /// Whether a skin can be grown of what there is.
    pub(crate) fn suit(&self, skin: &Skin) -> Result<(), Lack> {
        self.choose(skin).map(drop)
    }

    /// What a skin is grown of: a room, and the version of Landlock.
    pub(super) fn choose(&self, skin: &Skin) -> Result<(Option<&room::Means>, Option<i32>), Lack> {
        let (room, landlock) = (self.room.as_ref(), self.landlock.as_ref());
        let ports = skin.connect.is_some() && skin.ports_by_landlock();
        check(room, landlock, skin.by, ports).map_err(Lack::Machine)
    }
}

/// Whether what failed isn't simply forbidden or unknown here.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, StorageFull, Unsupported};
    !matches!(error.kind(), InvalidInput | NotFound | PermissionDenied | StorageFull | Unsupported)
}

/// Which layers keep all promises.
fn check<R>(
    room: Result<R, &String>,
    landlock: Result<&i32, &String>,
    by: By,
    ports: bool,
) -> Result<(Option<R>, Option<i32>), String> {
    let whole = landlock.is_ok_and(|version| *version >= WHOLE);
    let lacks = match landlock {
        Ok(version) => format!("its kernel has Landlock {version}, and {WHOLE} is needed (Linux 6.12)"),
        Err(reason) => reason.clone(),
    };
    match room {
        Err(reason) if by == By::Both || !whole => {
            Err(if whole { reason.clone() } else { format!("{reason}; and {lacks}") })
        }
        Ok(_) if by != By::Any && !whole => Err(lacks),
        Ok(_) if ports && !landlock.is_ok_and(|version| *version >= PORTS) => Err(format!(
            "TCP ports can't be kept from it: {lacks}, or a network of its own, or root for programs at its cgroup (eBPF)"
        )),
        room => Ok((room.ok(), landlock.ok().copied())),
    }
}

/// Why no room can be made, with the way out where there is one.
fn no_room(error: &io::Error) -> String {
    let settings = [
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    let set = |(path, value, _): &&(&str, &str, &str)| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == *value)
    };
    let way = settings.iter().find(set).map(|(_, _, way)| format!(" (allow it with: {way})"));
    format!("it can't make user namespaces with a root of their own: {error}{}", way.unwrap_or_default())
}
