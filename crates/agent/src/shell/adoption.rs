//! What an agent finds when it starts: processes, records, folders.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;

use membrane::Process;

use super::keeping::{cause, exit, last_line, launch_of};
use super::{Held, Shell};
use crate::agent::StartError;
use crate::core::{Adopted, Adoption, Launch};
use crate::prepare;

impl Shell {
    /// This node's part of what the keeper holds and the fabric says.
    pub(super) async fn found(&mut self, mut processes: Vec<Process>) -> Adoption {
        processes.sort_by_key(|process| process.started_at);
        let mut adoption = Adoption::default();
        for process in processes {
            let Some(id) = launch_of(&self.config.node.node_id, &process.id) else { continue };
            let launch = serde_json::from_str::<Launch>(&process.note).ok().filter(|launch| launch.id == id);
            let Some(launch) = launch else {
                // A note of another version of mesh: a process that nobody can look after is ended.
                tracing::warn!(id = process.id, "a process with a note that can't be read is ended");
                self.kill(&id);
                self.clean(id);
                continue;
            };
            let port = Some(launch.port).filter(|port| *port != 0);
            if let Some(port) = port {
                self.deps.ports.keep(port);
            }
            self.held.insert(id.clone(), Held { prepared: None, port, relay: process.relay });
            if let Some(oom) = process.oom {
                self.lacked_memory(&launch.app, launch.digest, oom);
            }
            let last_line = match process.exit {
                Some(_) => last_line(self.config.logs_dir.join(id.replica.as_str())).await,
                None => String::new(),
            };
            adoption.processes.push(Adopted {
                launch,
                pid: process.pid,
                exit: process.exit.map(exit),
                cause: cause(process.oom, process.cut),
                last_line,
            });
        }
        if !adoption.processes.is_empty() {
            tracing::info!(node = %self.config.node.node_id, processes = adoption.processes.len(), "takes over what runs");
        }
        let view = self.deps.fabric.view();
        let node = &self.config.node.node_id;
        let own = view.endpoints().filter(|record| record.node_id == *node);
        adoption.endpoints = own.map(|record| (**record).clone()).collect();
        let seen = view.observed.values().filter(|observed| observed.node_id == *node);
        adoption.observed = seen.map(|observed| (**observed).clone()).collect();
        adoption
    }

    /// Makes the folder for replicas, and removes what no process is left of.
    pub(super) fn tidy_run_dir(&self, adoption: &Adoption) -> Result<(), StartError> {
        let path = &self.config.run_dir;
        let in_use: BTreeSet<OsString> = adoption
            .processes
            .iter()
            .flat_map(|process| {
                let folder = self.folder(&process.launch.id);
                [prepare::data_folder(&folder), folder]
            })
            .filter_map(|folder| Some(folder.file_name()?.to_owned()))
            .collect();
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        let tidied = made.and_then(|()| {
            std::fs::read_dir(path)?.try_for_each(|entry| {
                let entry: std::fs::DirEntry = entry?;
                if in_use.contains(&entry.file_name()) { Ok(()) } else { remove(&entry) }
            })
        });
        tidied.map_err(|source| StartError::Folder { path: path.clone(), source })
    }
}

fn remove(entry: &std::fs::DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() {
        prepare::clear(&entry.path())
    } else {
        std::fs::remove_file(entry.path())
    }
}
