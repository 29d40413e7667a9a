//! The successor's side of a hand-over: the predecessor lets go of the state, goes on serving, and ends
//! once the successor serves as well.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::api::VersionInfo;
use crate::client::{Client, ClientError, Lines};

/// The `mesh` that ran before and still finishes its requests.
pub(crate) struct Predecessor {
    pid: u32,
    /// As long as it is open, the predecessor knows that somebody is taking over.
    _promise: Lines<VersionInfo>,
}

/// Asks the mesh behind `socket` to let go; when this returns, lock and journal are free.
pub(crate) async fn ask(socket: &Path) -> Result<Predecessor, ClientError> {
    let client = Client::new(socket.to_owned());
    let mut promise = client.hand_over().await?;
    let broke_off = || ClientError::NotRunning(socket.parent().unwrap_or(socket).to_owned());
    let version = promise.next().await?.ok_or_else(broke_off)?;
    Ok(Predecessor { pid: version.pid, _promise: promise })
}

impl Predecessor {
    /// Tells it that its connections are awaited here now.
    pub(crate) fn release(self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
            tracing::warn!(pid = self.pid, %error, "can't tell the mesh before this one to end");
        }
    }
}
