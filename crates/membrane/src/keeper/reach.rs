//! What a workload's sockets may reach: programs at its group, before anybody is in it.

use std::os::fd::BorrowedFd;

use super::detach;
use super::server::Server;
use crate::bpf::Programs;
use crate::wire::{Failure, FailureKind, SpawnArgs};

impl Server {
    /// Has the programs stand at a workload's group. Without a reach they only count, and it runs without them where
    /// there are none. `guarded`: they stand there already.
    pub fn reach(
        &mut self,
        args: &SpawnArgs,
        group: Option<BorrowedFd<'_>>,
        guarded: bool,
    ) -> Result<(), Failure> {
        let reach = args.skin.as_ref().and_then(|skin| skin.reach.as_ref());
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
        match attached {
            Err(why) if reach.is_some() => Err(Failure {
                kind: FailureKind::Refused,
                text: format!("limit what {} reaches: {why}", args.program.display()),
            }),
            _ => Ok(()),
        }
    }
}
