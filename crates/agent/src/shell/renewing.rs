//! Newer secrets and configs for a process that runs.

use std::io;

use cortex::Assignment;
use genome::{Settings, Signal};
use membrane::{Keeper, KeeperError};

use super::Shell;
use super::keeping::key;
use crate::core::{Input, Launch, Unprepared};
use crate::settings::{Bound, Opener};

impl Shell {
    pub(super) fn renew(&mut self, launch: Launch, wanted: Assignment) {
        let (fabric, custodians) = (self.deps.fabric.clone(), self.deps.custodians.clone());
        let keeper = self.keeper.borrow().keeper.clone();
        let name = key(&self.config.node.node_id, &launch.id);
        self.spawn_task(async move {
            let (id, revision) = (launch.id.clone(), wanted.revision.clone());
            let signal = wanted.release.settings.rotate.unwrap_or(Signal::Hup);
            let opened = tokio::task::spawn_blocking(move || {
                Opener { mesh: fabric.mesh(), view: fabric.view(), custodians }.open(&wanted)
            });
            let given = match opened.await {
                Ok(Ok(opened)) => give(&keeper, &name, launch, &revision, opened, signal).await,
                Ok(Err(why)) => Err(why),
                Err(error) => Err(Unprepared::Failed(format!("failed to open what it is given: {error}"))),
            };
            Input::Renewed(id, revision, given)
        });
    }
}

/// Has the keeper do it. The note says from now on what the process is.
async fn give(
    keeper: &Keeper,
    name: &str,
    launch: Launch,
    revision: &genome::Revision,
    (files, settings): (Vec<Bound>, Settings),
    signal: Signal,
) -> Result<Settings, Unprepared> {
    let launch = Launch { revision: revision.clone(), settings: settings.clone(), ..launch };
    let failed =
        |error: io::Error| Unprepared::Failed(format!("failed to write down what it is given: {error}"));
    let files = files.into_iter().map(Bound::into_file).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let note = serde_json::to_string(&launch).map_err(|error| failed(error.into()))?;
    match keeper.renew(name, files, note, number(signal)).await {
        Ok(()) => Ok(settings),
        // Its end, or the next keeper, says what becomes of it.
        Err(error @ (KeeperError::Lost | KeeperError::Unknown { .. })) => {
            Err(Unprepared::Failed(format!("failed to {error}")))
        }
        Err(error) => Err(Unprepared::Refused(format!("failed to {error}"))),
    }
}

const fn number(signal: Signal) -> i32 {
    match signal {
        Signal::Hup => rustix::process::Signal::HUP.as_raw(),
        Signal::Usr1 => rustix::process::Signal::USR1.as_raw(),
        Signal::Usr2 => rustix::process::Signal::USR2.as_raw(),
    }
}
