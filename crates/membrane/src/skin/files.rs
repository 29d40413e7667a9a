//! Files, TCP ports, signals and abstract sockets: Landlock (`landlock(7)`).

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope,
};

use super::room::{RUN, TMP};
use super::{Lack, Skin};

/// The rules of a skin.
#[derive(Debug)]
pub(super) struct Rules {
    /// In the kernel, with those for ports.
    pub set: OwnedFd,
    /// To be added by the child, in the tree that it lives in.
    pub paths: Vec<Rule>,
}

/// A path, and what may be done there.
#[derive(Debug)]
pub(super) struct Rule {
    pub path: CString,
    /// Below it, if it is a folder.
    pub below: u64,
    /// With it, if it is a file.
    pub file: u64,
}

/// The rules, for a kernel with this version. What an older one doesn't know, the room keeps.
pub(super) fn rules(skin: &Skin, version: i32, room: bool, given: bool) -> Result<Rules, Lack> {
    let abi = ABI::from(version);
    let refused = |error: RulesetError| Lack::Refused(error.to_string());
    let ports = skin.ports_by_landlock();
    let mut set = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| if ports { rules.handle_access(AccessNet::BindTcp) } else { Ok(rules) })
        .and_then(|rules| match skin.connect {
            Some(_) if ports => rules.handle_access(AccessNet::ConnectTcp),
            _ => Ok(rules),
        })
        // before version 6 there are no scopes, and to ask for none is refused
        .and_then(|rules| match Scope::from_all(abi) {
            scopes if scopes.is_empty() => Ok(rules),
            scopes => rules.scope(scopes),
        })
        .and_then(Ruleset::create)
        .map_err(refused)?;
    for port in skin.listen.iter().filter(|_| ports) {
        set = set.add_rule(NetPort::new(*port, AccessNet::BindTcp)).map_err(refused)?;
    }
    for port in skin.connect.iter().flatten().filter(|_| ports) {
        set = set.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(refused)?;
    }
    let set = Option::<OwnedFd>::from(set);
    let set = set.ok_or_else(|| Lack::Refused("the kernel gave no rules".to_owned()))?;
    Ok(Rules { set, paths: paths(skin, abi, room, given)? })
}

fn paths(skin: &Skin, abi: ABI, room: bool, given: bool) -> Result<Vec<Rule>, Lack> {
    let all = AccessFs::from_all(abi);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
    let mut rules = Vec::new();
    let mut open = |paths: &[PathBuf], may: BitFlags<AccessFs>| -> Result<(), Lack> {
        for path in paths {
            if !room {
                // Else that was seen when it was laid out.
                path.metadata().map_err(|source| Lack::Path { path: path.clone(), source })?;
            }
            rules.push(rule(path, may & all, abi)?);
        }
        Ok(())
    };
    open(&skin.read, look)?;
    open(&skin.run, look | AccessFs::Execute)?;
    open(&skin.write, change)?;
    open(&skin.own, change)?;
    if given {
        rules.push(rule(Path::new(RUN), look, abi)?);
    }
    if room {
        // What the room has of its own; and names, for there are none in it that it mustn't know.
        rules.push(rule(Path::new("/"), AccessFs::ReadDir.into(), abi)?);
        rules.push(rule(Path::new(TMP), change, abi)?);
        rules.push(rule(Path::new("/etc/passwd"), look, abi)?);
        rules.push(rule(Path::new("/etc/group"), look, abi)?);
    }
    Ok(rules)
}

fn rule(path: &Path, may: BitFlags<AccessFs>, abi: ABI) -> Result<Rule, Lack> {
    let file = may & AccessFs::from_file(abi);
    Ok(Rule { path: text(path)?, below: may.bits(), file: file.bits() })
}

fn text(path: &Path) -> Result<CString, Lack> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Lack::Refused(format!("a zero byte stands in {}", path.display())))
}
