//! The client's side: finding or starting a keeper, asking it for things, hearing of exits.
//!
//! A [`Keeper`] is one connection, driven by one task that ends with the last handle. Nothing here
//! knows how a workload is kept; it may be dropped, killed and started anew at any time.

mod driver;
mod error;
mod start;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::sync::mpsc;

use crate::cgroup::{Budgets, Limits, Usage, Used};
use crate::exit::{Exit, OutOfMemory};
use crate::log::LogLimits;
use crate::reactor;
use crate::skin::{Bound, Skin};
use crate::wire::{
    Attached, CONFINE, IdArgs, LIMIT, LimitsArgs, NameArgs, Process, REACH, RenewArgs, SpawnArgs, USAGES,
    UpgradeArgs,
};
use driver::Driver;
pub use error::KeeperError;

/// How long a keeper may take to answer before it counts as stuck. It never waits for a workload.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to end everything.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How often a keeper that leaves while one comes is looked for again.
const ATTEMPTS: usize = 3;

/// Which keeper, and what it is told about every workload.
#[derive(Debug, Clone)]
pub struct KeeperConfig {
    /// Its folder (`state/keeper`); made if need be.
    pub dir: PathBuf,
    /// The program that is a keeper when called as `program keeper --dir DIR`.
    pub program: PathBuf,
    /// How much output is kept of each workload.
    pub log_limits: LogLimits,
}

/// A connection to the keeper. Cheap to clone; it ends with the last clone.
#[derive(Debug, Clone)]
pub struct Keeper {
    driver: Arc<Driver>,
    limits: LogLimits,
    /// What an older keeper becomes when it doesn't know a call.
    program: PathBuf,
    budgets: Option<Budgets>,
    groups: Option<PathBuf>,
}

/// What a workload is made of.
#[derive(Debug)]
pub struct Spawn {
    /// Its name towards the keeper: anything unique, up to 512 bytes.
    pub id: String,
    /// What is executed.
    pub program: Program,
    /// What the program sees as its own name.
    pub arg0: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited. The keeper adds `MESH_KEEPER_ID`.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The folder of its log; made if need be. See [`tail`](crate::tail) and [`Follow`](crate::Follow).
    pub logs: PathBuf,
    /// Anything, up to 64 KiB: handed back with the process, also to a later client.
    pub note: String,
    /// What it may reach; without one all that the keeper may.
    pub skin: Option<Skin>,
    /// Files that are given to it alone; it must have a skin, and the machine namespaces.
    pub files: Vec<Bound>,
    /// How much it may use, as far as the kernel can hold it to that ([`Keeper::budgets`]); without them all there is.
    pub limits: Option<Limits>,
}

/// What is executed.
#[derive(Debug)]
pub enum Program {
    /// This very file, whatever its path leads to by now. It must have been opened for reading only.
    /// A script (`#!`) is read again by its interpreter as `/dev/fd/3`, which stays open for it.
    Opened {
        /// The executable.
        file: OwnedFd,
        /// What it is called in errors.
        path: PathBuf,
    },
    /// What this path leads to; without a `/` it is looked for in the `PATH` of the workload.
    Path(PathBuf),
}

/// What happens without being asked for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperEvent {
    /// A workload ended: none of its processes is left, and its output is in its log. Each exit that
    /// [`Keeper::attach`] didn't list comes once. The keeper remembers it until [`Keeper::forget`].
    Exited {
        /// The workload.
        id: String,
        /// How its main process ended.
        exit: Exit,
        /// Whether that was for lack of memory.
        oom: Option<OutOfMemory>,
        /// Whether it was ended because the relay of its network had.
        cut: bool,
    },
    /// The connection is gone: the keeper was killed, or told to end. The last event.
    Lost,
}

/// The events of one connection.
#[derive(Debug)]
pub struct Events(mpsc::UnboundedReceiver<KeeperEvent>);

impl Events {
    /// The next event; `None` after [`KeeperEvent::Lost`], or when all handles were dropped. Loses nothing when it is cancelled.
    pub async fn next(&mut self) -> Option<KeeperEvent> {
        self.0.recv().await
    }
}

impl Keeper {
    /// Connects to the keeper of a folder and learns of all its workloads; starts one, in a session of its
    /// own, if none answers. A keeper that was killed may have left strays: the new one ends them first.
    pub async fn attach(config: KeeperConfig) -> Result<(Self, Vec<Process>, Events), KeeperError> {
        let mut attempt = 1;
        loop {
            match Self::attach_once(&config).await {
                // it was about to end when we came: the next one is ours to start
                Err(KeeperError::Lost) if attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    async fn attach_once(config: &KeeperConfig) -> Result<(Self, Vec<Process>, Events), KeeperError> {
        let (dir, program) = (config.dir.clone(), config.program.clone());
        let socket = tokio::task::spawn_blocking(move || start::connect_or_start(&dir, &program))
            .await
            .map_err(|_| KeeperError::Lost)??;
        let (sender, receiver) = mpsc::unbounded_channel();
        let driver = Arc::new(Driver::start(socket, sender)?);
        let (limits, program) = (config.log_limits, config.program.clone());
        let mut keeper = Self { driver, limits, program, budgets: None, groups: None };
        let (parts, _) = keeper.driver.call_in("attach", Value::Null, Vec::new(), PATIENCE).await?;
        let mut processes = Vec::new();
        for part in parts {
            let attached: Attached = driver::parse(part)?;
            keeper.driver.set_pid(attached.pid);
            processes.extend(attached.processes);
            keeper.budgets = attached.budgets;
            keeper.groups = attached.groups;
        }
        Ok((keeper, processes, Events(receiver)))
    }

    /// The keeper's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.driver.pid()
    }

    /// The group of the v2 hierarchy below which each workload has its own; none where there is none, or in an older keeper.
    #[must_use]
    pub fn groups(&self) -> Option<&Path> {
        self.groups.as_deref()
    }

    /// What of [`Spawn::limits`] this keeper can have the kernel hold, and why not the rest; nothing is known of an older
    /// keeper.
    #[must_use]
    pub fn budgets(&self) -> Option<&Budgets> {
        self.budgets.as_ref()
    }

    /// Starts a workload. When it returns, its program is running or could not be executed. When the
    /// future is dropped before, it may run all the same: the next [`Keeper::attach`] lists it.
    pub async fn spawn(&self, spawn: Spawn) -> Result<Process, KeeperError> {
        let (program, mut fds) = match spawn.program {
            Program::Opened { file, path } => (path, vec![file]),
            Program::Path(path) => (start::find_program(path, &spawn.env)?, Vec::new()),
        };
        let args = SpawnArgs {
            id: spawn.id,
            program,
            by_descriptor: !fds.is_empty(),
            arg0: spawn.arg0,
            args: spawn.args,
            env: spawn.env,
            cwd: spawn.cwd,
            logs: spawn.logs,
            note: spawn.note,
            limits: self.limits.keeping(spawn.limits.map_or(0, |limits| limits.log_bytes)),
            skin: spawn.skin,
            files: spawn.files.iter().map(|file| file.name.clone()).collect(),
            budget: spawn.limits,
        };
        fds.extend(spawn.files.into_iter().map(|file| file.content));
        let call = match (&args.budget, &args.skin) {
            (_, Some(skin)) if skin.reach.is_some() => REACH,
            (Some(_), _) => LIMIT,
            (None, Some(_)) => CONFINE,
            (None, None) => "spawn",
        };
        let again = fds.iter().map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>();
        let answer = match (self.call(call, json!(args), fds).await, again) {
            // It was started by an older program than ours: then it becomes ours.
            (Err(KeeperError::Unsupported { .. }), Ok(fds)) => {
                self.upgrade(&self.program).await?;
                self.call(call, json!(args), fds).await
            }
            (answer, _) => answer,
        };
        driver::parse(answer?.0)
    }

    /// Puts files in the place of those that a workload was spawned with, all at once, while it runs, hands `note` back
    /// from now on, and sends the signal to its main process. When it is refused the files are as they were, but for a
    /// machine that couldn't remove old ones.
    pub async fn renew(
        &self,
        id: &str,
        files: Vec<Bound>,
        note: String,
        signal: i32,
    ) -> Result<(), KeeperError> {
        let names = files.iter().map(|file| file.name.clone()).collect();
        let args = json!(RenewArgs { id: id.to_owned(), files: names, note, signal });
        let fds: Vec<OwnedFd> = files.into_iter().map(|file| file.content).collect();
        let again = fds.iter().map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>();
        let answer = match (self.call("renew", args.clone(), fds).await, again) {
            (Err(KeeperError::Unsupported { .. }), Ok(fds)) => {
                self.upgrade(&self.program).await?;
                self.call("renew", args, fds).await
            }
            (answer, _) => answer,
        };
        answer.map(drop)
    }

    /// What a workload with limits uses.
    pub async fn usage(&self, id: &str) -> Result<Usage, KeeperError> {
        let args = json!(IdArgs { id: id.to_owned(), grace_ms: 0 });
        driver::parse(self.call("usage", args, Vec::new()).await?.0)
    }

    /// What all workloads with limits use whose ids begin with `prefix`, and what they are held to.
    pub async fn usages(&self, prefix: &str) -> Result<Vec<Used>, KeeperError> {
        let ask = || {
            let args = json!(NameArgs { name: prefix.to_owned() });
            self.driver.call_in(USAGES, args, Vec::new(), PATIENCE)
        };
        let (parts, _) = match ask().await {
            // It was started by an older program than ours: then it becomes ours.
            Err(KeeperError::Unsupported { .. }) => {
                self.upgrade(&self.program).await?;
                ask().await?
            }
            answer => answer?,
        };
        let mut all = Vec::new();
        for part in parts {
            all.extend(driver::parse::<Vec<Used>>(part)?);
        }
        Ok(all)
    }

    /// Gives a workload that has limits other ones.
    pub async fn set_limits(&self, id: &str, limits: Limits) -> Result<(), KeeperError> {
        let args = json!(LimitsArgs { id: id.to_owned(), budget: limits });
        self.call("set-limits", args, Vec::new()).await.map(drop)
    }

    /// Asks a workload to end: its main process gets SIGTERM; what it leaves behind when it ends gets
    /// SIGTERM as well; after `grace` all that is left is killed. The keeper sees to it, even if this process
    /// is gone by then. Returns at once: the end comes as [`KeeperEvent::Exited`].
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), KeeperError> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.call("stop", json!(IdArgs { id: id.to_owned(), grace_ms }), Vec::new()).await.map(drop)
    }

    /// Kills a workload and everything it started.
    pub async fn kill(&self, id: &str) -> Result<(), KeeperError> {
        let args = json!(IdArgs { id: id.to_owned(), grace_ms: 0 });
        self.call("kill", args, Vec::new()).await.map(drop)
    }

    /// The exit of a workload has been taken note of: its id is free again.
    pub async fn forget(&self, id: &str) -> Result<(), KeeperError> {
        let args = json!(IdArgs { id: id.to_owned(), grace_ms: 0 });
        self.call("forget", args, Vec::new()).await.map(drop)
    }

    /// Leaves copies of sockets with the keeper, in place of those kept under the name so far, so that a
    /// later process can have them; none removes the name. At most 64.
    pub async fn keep_sockets(&self, name: &str, sockets: Vec<OwnedFd>) -> Result<(), KeeperError> {
        self.call("keep-sockets", json!(NameArgs { name: name.to_owned() }), sockets).await.map(drop)
    }

    /// The sockets kept under a name, in the order they came.
    pub async fn sockets(&self, name: &str) -> Result<Vec<OwnedFd>, KeeperError> {
        let args = json!(NameArgs { name: name.to_owned() });
        Ok(self.call("sockets", args, Vec::new()).await?.1)
    }

    /// Kills every workload, and ends the keeper. When it returns the keeper's process is gone.
    pub async fn shutdown(&self) -> Result<(), KeeperError> {
        let process = start::process(self.pid());
        match self.driver.call_in("shutdown", Value::Null, Vec::new(), END_PATIENCE).await {
            Ok(_) | Err(KeeperError::Lost) => {}
            Err(error) => return Err(error),
        }
        if let Some(process) = process {
            let gone = reactor::register(process, Interest::READABLE)
                .map_err(|source| KeeperError::Broken { text: source.to_string() })?;
            let ended = tokio::time::timeout(PATIENCE, gone.readable()).await;
            ended.map_err(|_| KeeperError::Silent)?.map(drop).map_err(|_| KeeperError::Lost)?;
        }
        Ok(())
    }

    /// Has the keeper become `program` (an absolute path) without losing anything; connections stay too.
    /// The program is asked first whether it can take over.
    pub async fn upgrade(&self, program: &Path) -> Result<(), KeeperError> {
        let asked = program.to_owned();
        tokio::task::spawn_blocking(move || start::check_program(&asked))
            .await
            .map_err(|_| KeeperError::Lost)??;
        let args = json!(UpgradeArgs { program: program.to_owned() });
        self.call("upgrade", args, Vec::new()).await.map(drop)
    }

    async fn call(
        &self,
        call: &str,
        args: Value,
        fds: Vec<OwnedFd>,
    ) -> Result<(Value, Vec<OwnedFd>), KeeperError> {
        let (mut parts, fds) = self.driver.call_in(call, args, fds, PATIENCE).await?;
        Ok((parts.pop().unwrap_or_default(), fds))
    }
}

impl Spawn {
    /// The same once more: a keeper may be lost between asking and answering.
    pub fn try_clone(&self) -> io::Result<Self> {
        let program = match &self.program {
            Program::Opened { file, path } => Program::Opened { file: file.try_clone()?, path: path.clone() },
            Program::Path(path) => Program::Path(path.clone()),
        };
        Ok(Self {
            id: self.id.clone(),
            program,
            arg0: self.arg0.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            logs: self.logs.clone(),
            note: self.note.clone(),
            skin: self.skin.clone(),
            files: self.files.iter().map(Bound::try_clone).collect::<io::Result<_>>()?,
            limits: self.limits,
        })
    }
}

impl Bound {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { name: self.name.clone(), content: self.content.try_clone()? })
    }
}

impl From<std::fs::File> for Program {
    /// The file under the name `/proc` gives it.
    fn from(file: std::fs::File) -> Self {
        let file = OwnedFd::from(file);
        let path = crate::procfs::path_of(file.as_fd());
        Self::Opened { file, path }
    }
}
