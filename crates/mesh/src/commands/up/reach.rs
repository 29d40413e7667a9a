//! The mesh that `mesh up` speaks to: the one that runs in the state, or one that it starts.

use mycelium::client::{Client, ClientError};

use super::Args;
use crate::context::Context;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::meshfile::MeshFile;
use crate::operator;
use crate::process::Process;
use crate::progress::Step;

/// A mesh that answers.
pub struct Reached {
    /// How it is spoken to.
    pub client: Client,
    process: Process,
    /// Present when it was started here.
    own: Option<Daemon>,
}

/// Finds the mesh of the state or starts it, and waits until it serves.
pub async fn reach(context: &Context, args: &Args, file: &MeshFile) -> Result<Reached, Failure> {
    let client = context.client()?;
    match client.status().await {
        Ok(status) => {
            context
                .out
                .note(format_args!("a mesh runs here already (process {}): deploying to it", status.pid));
            let wanted = args.nodes.or(file.mesh.nodes);
            if let Some(wanted) = wanted.filter(|wanted| *wanted as usize != status.nodes.len()) {
                context.out.warn(format_args!(
                    "it has {} nodes, not {wanted}: `mesh down` first to change that",
                    status.nodes.len()
                ));
            }
            Ok(Reached { client, process: Process::of(status.pid)?, own: None })
        }
        Err(ClientError::NotRunning(_)) => start(context, args, file, client).await,
        Err(error) => Err(error.into()),
    }
}

async fn start(context: &Context, args: &Args, file: &MeshFile, client: Client) -> Result<Reached, Failure> {
    let paths = context.paths()?;
    operator::first_use(context, &paths)?;
    let step = Step::start(&context.out, "starting the mesh");
    let line = args.run_args(file).detached(&paths, context.state_flag());
    let mut own = Daemon::start(&paths, &line, None)?;
    let process = Process::of(own.pid()?)?;
    let url = own.ready().await?;
    step.done(&format!("the mesh serves {url}"));
    Ok(Reached { client, process, own: Some(own) })
}

impl Reached {
    /// Whether it was started here.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resolves when the mesh has ended without a successor: why.
    pub async fn lost(&mut self) -> Failure {
        loop {
            self.process.ended().await;
            let successor = match self.client.version().await {
                Ok(version) if version.pid != self.process.pid() => Process::of(version.pid).ok(),
                _ => None,
            };
            if let Some(successor) = successor {
                self.process = successor;
                continue;
            }
            let pid = self.process.pid();
            return match &mut self.own {
                Some(own) => own.why_not().await,
                None => Failure::new(format_args!("the mesh (process {pid}) has ended")),
            };
        }
    }
}
