//! Files, TCP ports, signals and abstract sockets: Landlock (`landlock(7)`).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, PathFdError, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    Scope,
};

use super::wear::landlock_version;
use super::{Lack, Skin};

/// What is needed: files, truncation, TCP, devices' ioctls, signals and abstract sockets.
const NEEDED: ABI = ABI::V6;

/// The rules, in the kernel.
pub(super) fn rules(skin: &Skin) -> Result<OwnedFd, Lack> {
    check()?;
    let all = AccessFs::from_all(NEEDED);
    let refused = |error: RulesetError| Lack::Refused(error.to_string());
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)
        .and_then(|rules| rules.handle_access(AccessNet::BindTcp))
        .and_then(|rules| match skin.connect {
            Some(_) => rules.handle_access(AccessNet::ConnectTcp),
            None => Ok(rules),
        })
        .and_then(|rules| rules.scope(Scope::from_all(NEEDED)))
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
    rules = open(rules, &skin.read, look)?;
    rules = open(rules, &skin.run, look | AccessFs::Execute)?;
    rules = open(rules, &skin.write, change)?;
    for port in &skin.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp)).map_err(refused)?;
    }
    for port in skin.connect.iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(refused)?;
    }
    Option::<OwnedFd>::from(rules).ok_or_else(|| Lack::Refused("the kernel gave no rules".to_owned()))
}

/// Whether the kernel has all that is needed.
pub(super) fn check() -> Result<(), Lack> {
    let has = match landlock_version() {
        Ok(version) if version >= NEEDED as i32 => return Ok(()),
        Ok(version) => format!("it has version {version}"),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            "it was started without it (boot option `lsm=`)".to_owned()
        }
        Err(_) => "it has none".to_owned(),
    };
    Err(Lack::Kernel { what: "Landlock 6", since: "Linux 6.12", has })
}

/// Opens these to what may be done there; of a file, what can be done with files.
fn open(rules: RulesetCreated, paths: &[PathBuf], may: BitFlags<AccessFs>) -> Result<RulesetCreated, Lack> {
    paths.iter().try_fold(rules, |rules, path| {
        let fd = PathFd::new(path).map_err(|error| lost(path, error))?;
        let may = if path.is_dir() { may } else { may & AccessFs::from_file(NEEDED) };
        rules.add_rule(PathBeneath::new(fd, may)).map_err(|error| Lack::Refused(error.to_string()))
    })
}

fn lost(path: &Path, error: PathFdError) -> Lack {
    let source = match error {
        PathFdError::OpenCall { source, .. } => source,
        other => std::io::Error::other(other.to_string()),
    };
    Lack::Path { path: path.to_owned(), source }
}
