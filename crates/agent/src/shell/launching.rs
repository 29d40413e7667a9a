//! Launches: from a slot that is wanted to a process, and what is left of it cleaned away.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cortex::Assignment;
use membrane::{KeeperError, Limits, Program, Spawn};
use spore::Needs;
use types::{Nutrients, PublicKey};

use super::keeping::{keeper_spawn, key};
use super::{Held, Report, Shell};
use crate::agent::Born;
use crate::core::{Input, Launch, LaunchId, NotSpawned, Unprepared};
use crate::environment::environment;
use crate::logs;
use crate::prepare::{self, Order, Prepared};
use crate::profile::{self, Confinement, Place};
use crate::settings::{Bound, Opener};

impl Shell {
    pub(super) fn prepare(&mut self, id: LaunchId, wanted: Box<Assignment>) {
        self.held.insert(id.clone(), Held::default());
        if self.preparing == 0 && !self.core.waits_for_trust() {
            // Should it be refused, what changes from here on is news, and nothing before.
            self.grounds = self.grounds_now();
        }
        self.preparing += 1;
        let (reporter, extracting) = (self.reporter.clone(), Arc::clone(&self.extracting));
        let (repo, into) = (self.deps.repo.clone(), self.folder(&id));
        let (trust, fabric) = (Arc::clone(&self.deps.trust), self.deps.fabric.clone());
        let (admission, config) = (Arc::clone(&self.deps.admission), Arc::clone(&self.config));
        let search = self.search_path();
        let custodians = self.deps.custodians.clone();
        self.tasks.spawn(async move {
            let Ok(_permit) = extracting.acquire_owned().await else { return };
            let prepared = tokio::task::spawn_blocking(move || {
                let settings = Opener { mesh: fabric.mesh(), view: fabric.view(), custodians };
                let trusts = move |key: &PublicKey| match trust.trusts(key) {
                    Ok(trusted) => Ok(trusted || fabric.view().trusts(key)),
                    Err(error) => Err(format!("failed to {error}")),
                };
                prepare::prepare(&Order {
                    wanted: &wanted,
                    repo: &repo,
                    trusts: &trusts,
                    admission: &*admission,
                    node: &config.node,
                    settings: &settings,
                    into: &into,
                    search: &search,
                    profiles: &config.profiles_dir,
                    layers: &config.layers,
                })
            })
            .await;
            let report = match prepared {
                Ok(Ok(prepared)) => Report::Prepared(id, Box::new(prepared)),
                Ok(Err(why)) => Report::Input(Input::Unprepared(id, why)),
                Err(error) => {
                    let why = Unprepared::Failed(format!("failed to prepare the spore: {error}"));
                    Report::Input(Input::Unprepared(id, why))
                }
            };
            // Nobody listens any more once the agent has ended.
            let _ = reporter.send(report);
        });
    }

    pub(super) fn spawn(&mut self, mut launch: Launch, wanted: Assignment) {
        let id = launch.id.clone();
        let Some(prepared) = self.held.get_mut(&id).and_then(|held| held.prepared.take()) else {
            return self.not_spawned(id, "failed to spawn what was never prepared");
        };
        if launch.workload == types::Workload::Service || prepared.manifest.scale.is_some() {
            let ports = &self.deps.ports;
            launch.port = if launch.fixed_port == 0 {
                ports.take(&mut || getrandom::u32().unwrap_or_default()).unwrap_or_default()
            } else {
                ports.keep(launch.fixed_port);
                launch.fixed_port
            };
            self.held.entry(id.clone()).or_default().port = Some(launch.port).filter(|port| *port != 0);
            if launch.port == 0 {
                return self.not_spawned(id, "failed to find a free port on this machine");
            }
        }
        let order = self.order(*prepared, &launch, &wanted);
        let (keeper, reporter, port) = (self.keeper.subscribe(), self.reporter.clone(), launch.port);
        let (born, node) = (Arc::clone(&self.deps.born), self.config.node.node_id.clone());
        self.tasks.spawn(async move {
            let spawned = match order {
                Ok(order) => keeper_spawn(keeper, order).await.map_err(|error| reason(&error)),
                Err(error) => {
                    Err(NotSpawned::Machine(format!("failed to write down what it is given: {error}")))
                }
            };
            if let Ok((process, _)) = &spawned
                && let Some(group) = process.group.clone()
            {
                born(Born { node, app: launch.app, replica: id.replica.clone(), group });
            }
            // Nobody listens any more once the agent has ended.
            let _ = reporter.send(match spawned {
                Ok((process, by)) => Report::Spawned(id, process, port, by),
                Err(why) => Report::Input(Input::NotSpawned(id, why)),
            });
        });
    }

    fn not_spawned(&self, id: LaunchId, reason: &str) {
        // The core hears of it after this input is dealt with, as of any other answer.
        let input = Input::NotSpawned(id, NotSpawned::Machine(reason.to_owned()));
        let _ = self.reporter.send(Report::Input(input));
    }

    /// What the keeper is asked for.
    fn order(&self, prepared: Prepared, launch: &Launch, wanted: &Assignment) -> io::Result<Spawn> {
        let Prepared { extracted, manifest, interpreter, confinement, data, settings } = prepared;
        let config = &self.config;
        let place = Place {
            name: launch.id.replica.as_str(),
            dir: &extracted.dir,
            data: data.as_deref(),
            interpreter: interpreter.as_ref().map(|(path, _)| path.as_path()),
            port: launch.port,
            edge: &config.edge_url,
            reach: &wanted.release.reach,
            exact: confinement.is_exact(&config.layers),
        };
        let skin = profile::skin(&confinement, &place);
        if confinement == Confinement::Unconfined {
            let (app, replica) = (&launch.app, &launch.id.replica);
            tracing::warn!(node = %config.node.node_id, %app, %replica, "runs UNCONFINED, as its plan says");
        }
        let collector = config.collector.as_ref().filter(|collector| collector.is_in_reach(skin.as_ref()));
        let told =
            collector.map(|collector| collector.told(launch, &config.node.node_id)).unwrap_or_default();
        let env = environment(
            &profile::environment(
                &confinement,
                &config.environment,
                data.as_deref(),
                config.layers.room.is_ok(),
            ),
            told,
            &manifest.env,
            &wanted.release.env,
            launch,
            &config.node.node_id,
            &config.edge_url,
        );
        let (program, arg0, args) = match interpreter {
            None => (
                Program::Opened { file: extracted.executable.into(), path: extracted.program },
                manifest.command,
                manifest.args,
            ),
            Some((path, mut words)) => {
                words.push(extracted.program.display().to_string());
                words.extend(manifest.args);
                (Program::Path(path.clone()), path.display().to_string(), words)
            }
        };
        Ok(Spawn {
            id: key(&config.node.node_id, &launch.id),
            program,
            arg0,
            args,
            env,
            cwd: extracted.dir,
            logs: config.logs_dir.join(launch.id.replica.as_str()),
            note: serde_json::to_string(launch)?,
            skin,
            files: settings.0.into_iter().map(Bound::into_file).collect::<io::Result<_>>()?,
            limits: Some(limits(&manifest.nutrients, wanted.each)),
        })
    }

    pub(super) fn clean(&mut self, id: LaunchId) {
        if let Some(probe) = self.probes.remove(&id) {
            probe.abort();
        }
        if let Some(port) = self.held.remove(&id).and_then(|held| held.port) {
            self.deps.ports.give_back(port);
        }
        let keeper = self.keeper.borrow().keeper.clone();
        let (name, folder) = (key(&self.config.node.node_id, &id), self.folder(&id));
        let logs_dir = self.config.logs_dir.clone();
        // A launch that will be repeated goes on in the same log.
        let gone = !self.core.has(&id.replica);
        let live = gone.then(|| self.core.replicas().cloned().collect::<BTreeSet<_>>());
        self.tasks.spawn(async move {
            match keeper.forget(&name).await {
                // What was never spawned, or was forgotten before, is forgotten.
                Ok(()) | Err(KeeperError::Unknown { .. } | KeeperError::Lost) => {}
                Err(error) => tracing::warn!(%error, "failed to have the keeper forget {name}"),
            }
            let cleared = tokio::task::spawn_blocking(move || {
                for folder in [prepare::data_folder(&folder), folder] {
                    if let Err(error) = prepare::clear(&folder) {
                        tracing::warn!(%error, "failed to remove {}", folder.display());
                    }
                }
                if let Some(live) = live
                    && let Err(error) = logs::sweep(&logs_dir, &id.replica, &live)
                {
                    tracing::warn!(%error, "failed to remove old logs from {}", logs_dir.display());
                }
            });
            if let Err(error) = cleared.await {
                tracing::warn!(%error, "failed to clean up after {name}");
            }
        });
    }

    /// Where a launch is extracted: the replica's name, and the count of its launches from the second on.
    pub(super) fn folder(&self, id: &LaunchId) -> PathBuf {
        let name = id.replica.as_str();
        let name = if id.attempt == 1 { name.to_owned() } else { format!("{name}-{}", id.attempt) };
        self.config.run_dir.join(name)
    }

    /// The `PATH` that workloads get.
    fn search_path(&self) -> String {
        let path = self.config.environment.iter().find(|(name, _)| name == "PATH");
        path.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// What a manifest's budget, and the size of a replica, mean to the kernel.
fn limits(needs: &Needs, each: Nutrients) -> Limits {
    let others = Limits {
        pids: needs.pids.unwrap_or(0),
        io_weight: needs.io_weight.unwrap_or(0),
        open_files: needs.open_files.unwrap_or(0),
        log_bytes: u64::from(needs.log_mb.unwrap_or(0)) << 20,
        // until it is seen to use what is its own
        first: true,
        ..Limits::default()
    };
    sized(others, each)
}

/// The same with another size; what is 0 there is not limited, as it is not planned with.
pub(super) fn sized(others: Limits, each: Nutrients) -> Limits {
    Limits {
        cpu_milli: u32::try_from(each.cpu_milli).unwrap_or(u32::MAX),
        memory: each.memory_mb.saturating_mul(1 << 20),
        ..others
    }
}

fn reason(error: &KeeperError) -> NotSpawned {
    let text = format!("failed to {error}");
    match error {
        KeeperError::Launch { .. } => NotSpawned::Program(text),
        _ => NotSpawned::Machine(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_says_is_asked_of_the_kernel_and_what_it_leaves_out_is_left_to_the_keeper() {
        let needs: Needs = serde_json::from_str(r#"{"cpu_milli":200,"memory_mb":3}"#).unwrap();
        let plain = Limits { cpu_milli: 200, memory: 3 << 20, first: true, ..Limits::default() };
        let each = Nutrients { cpu_milli: 200, memory_mb: 3 };
        assert_eq!(limits(&needs, each), plain);
        let more =
            Needs { pids: Some(4), open_files: Some(50), io_weight: Some(6), log_mb: Some(7), ..needs };
        let more = limits(&more, each);
        assert_eq!(more, Limits { pids: 4, open_files: 50, io_weight: 6, log_bytes: 7 << 20, ..plain });
    }
}
