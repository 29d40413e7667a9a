//! What every command starts from: where things lie, how to print, whom to ask.

use std::future::Future;

use mycelium::Paths;
use mycelium::client::{Client, ClientError, Lines};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::Global;
use crate::elsewhere::{self, Elsewhere};
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Out;

/// The variable that stands for `--state`; a flag counts more.
const STATE: &str = "MESH_STATE";

/// What every command starts from.
pub struct Context {
    /// The two streams.
    pub out: Out,
    /// Whether causes and the output of commands are shown.
    pub verbose: bool,
    state: Option<std::path::PathBuf>,
    chosen: Option<String>,
}

impl Context {
    /// From the flags that every command takes.
    pub fn new(global: Global) -> Self {
        Self {
            out: Out::new(global.color, global.quiet),
            verbose: global.verbose,
            chosen: global.context,
            state: global.state.or_else(|| {
                let set = std::env::var_os(STATE).filter(|dir| !dir.is_empty());
                set.map(std::path::PathBuf::from)
            }),
        }
    }

    /// Where things lie.
    pub fn paths(&self) -> Result<Paths, Failure> {
        match &self.state {
            Some(dir) => Paths::under(dir)
                .map_err(|e| Failure::new(format_args!("cannot find the folder {}: {e}", dir.display()))),
            None => Paths::from_environment().ok_or_else(|| {
                Failure::usage("no home folder: HOME is not set")
                    .hint("say where the state is to live: --state DIR")
            }),
        }
    }

    /// `--state DIR` as the caller gave it, for commands that are printed or started.
    pub fn state_flag(&self) -> Option<&std::path::Path> {
        self.state.as_deref()
    }

    /// The mesh elsewhere that was chosen with `--context`.
    pub fn chosen(&self) -> Result<Option<Elsewhere>, Failure> {
        self.chosen.as_deref().map(|name| elsewhere::find(&self.paths()?, name)).transpose()
    }

    /// A client of the mesh of this state, or of the one that was chosen.
    pub fn client(&self) -> Result<Client, Failure> {
        let paths = self.paths()?;
        match self.chosen()? {
            Some(chosen) => Ok(Client::remote(chosen.remote(&paths)?)),
            None => Ok(Client::new(paths.socket())),
        }
    }

    /// What a running mesh answers to `call`; nothing where none runs.
    pub fn if_running<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Option<T>, Failure> {
        self.block_on(async {
            match call.await {
                Ok(answer) => Ok(Some(answer)),
                Err(ClientError::NotRunning(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Prints what comes, as JSON or for people, until nothing more comes.
    pub async fn print_each<T: Serialize + DeserializeOwned>(
        &self,
        mut lines: Lines<T>,
        json: bool,
        show: impl Fn(&T) -> Result<(), Failure>,
    ) -> Result<Code, Failure> {
        while let Some(line) = lines.next().await? {
            if json { self.out.ndjson(&line)? } else { show(&line)? }
        }
        Ok(Code::Ok)
    }

    /// Runs a command's asynchronous part.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::new(format_args!("cannot start the runtime: {e}")))?;
        runtime.block_on(work)
    }
}
