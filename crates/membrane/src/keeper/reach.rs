//! What a workload's sockets may reach: programs at its group, before anybody is in it; else a network of its own.

use std::os::fd::BorrowedFd;

use super::detach;
use super::server::Server;
use crate::bpf::Programs;
use crate::skin::By;
use crate::wire::{Failure, FailureKind, SpawnArgs};

impl Server {
    /// Has the programs stand at a workload's group. Without a reach they only count, and it runs without them where
    /// there are none. `guarded`: they stand there already. Whether they can't keep it to its reach, and a network of its
    /// own is to.
    pub fn reach(
        &mut self,
        args: &SpawnArgs,
        group: Option<BorrowedFd<'_>>,
        guarded: bool,
    ) -> Result<bool, Failure> {
        let skin = args.skin.as_ref().filter(|skin| skin.reach.is_some());
        let reach = skin.and_then(|skin| skin.reach.as_ref());
        let programs = self.programs.get_or_insert_with(|| {
            let loaded = Programs::load().map_err(|lack| lack.to_string());
            loaded.inspect_err(|why| detach::say(&format!("what workloads do is not seen: {why}")))
        });
        let attached = match (programs, group) {
            (Ok(programs), Some(group)) if guarded => {
                programs.limit(reach, group).map_err(|lack| lack.to_string())
            }
            (Ok(programs), Some(group)) => programs.attach(reach, group).map_err(|lack| lack.to_string()),
            (Ok(_), None) => Err("it has no group of the v2 hierarchy".to_owned()),
            (Err(why), _) => Err(why.clone()),
        };
        let (Err(why), Some(skin)) = (attached, skin) else { return Ok(false) };
        if skin.offline {
            // It has nothing to reach anything with.
            return Ok(false);
        }
        let refused = |why: String| Failure {
            kind: FailureKind::Refused,
            text: format!("limit what {} reaches: {why}", args.program.display()),
        };
        reach.map_or(Ok(()), |reach| reach.check()).map_err(|lack| refused(lack.to_string()))?;
        let means = self.means();
        // Who can't be confined at all is to hear that.
        means.suit(skin).map_err(|lack| Failure {
            kind: FailureKind::Refused,
            text: format!("confine {}: {lack}", args.program.display()),
        })?;
        match means.network() {
            Ok(()) if skin.by != By::Landlock => Ok(true),
            Ok(()) => Err(refused(why)),
            Err(network) => Err(refused(format!("{why}; and {network}"))),
        }
    }
}
