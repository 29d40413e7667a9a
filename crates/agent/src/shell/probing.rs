//! Health checks and drains: waiting for others' answers.

use types::{AppName, ReplicaName};

use super::Shell;
use super::keeping::last_line;
use crate::core::{Input, Launch, Probe};
use crate::probe::{self, Target};

impl Shell {
    pub(super) fn probe(&mut self, launch: Launch, pid: u32, probe: Probe) {
        let Some(check) = launch.check.clone() else { return };
        let listener = self.held.get(&launch.id).and_then(|held| held.relay).unwrap_or(pid);
        let target = Target { check, port: launch.port, listener };
        let logs = self.config.logs_dir.join(launch.id.replica.as_str());
        let id = launch.id.clone();
        let task = self.spawn_task(async move {
            let result = match probe {
                Probe::Live => probe::live(&target).await,
                Probe::Ready(within) => match probe::ready(&target, within).await {
                    Ok(()) => Ok(()),
                    Err(reason) => Err(match last_line(logs).await.as_str() {
                        "" => reason,
                        line => format!("{reason}; its last line: {line}"),
                    }),
                },
            };
            Input::Probed(launch.id, result)
        });
        self.probes.insert(id, task);
    }

    pub(super) fn drain(&mut self, app: &AppName, replica: ReplicaName, drain: u32) {
        let drained = self.deps.traffic.drained(app, &self.config.node.node_id, &replica);
        let name = replica.clone();
        let task = self.spawn_task(async move {
            drained.await;
            Input::Drained { replica, drain }
        });
        if let Some(earlier) = self.drains.insert(name, task) {
            earlier.abort();
        }
    }
}
