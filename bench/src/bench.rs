//! Bench: what every row is given: the programs to measure, the cores, a folder, and how long to measure.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::load::{self, Load, Pace, Tally, Target};
use crate::machine::Cores;
use crate::peers::{self, Server};
use crate::process::Process;
use crate::product::Mesh;

/// The surroundings of a row.
pub struct Bench {
    /// Where the parts run.
    pub cores: Cores,
    /// How often each figure is measured.
    pub runs: usize,
    /// Shorter runs.
    pub quick: bool,
    /// For everything that is written; goes away at the end.
    pub dir: TempDir,
    /// The product under test.
    pub mesh: PathBuf,
    /// An edge without a mesh, to be measured in its place.
    pub edge_proxy: Option<PathBuf>,
    /// The workload.
    pub billing: PathBuf,
    /// How many meshes were started.
    pub meshes: Cell<u32>,
}

impl Bench {
    /// Long enough for a warm-up.
    pub fn short(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1_000 })
    }

    /// One run of a load.
    pub fn long(&self) -> Duration {
        Duration::from_millis(if self.quick { 1_000 } else { 5_000 })
    }

    /// Says what is being done, where somebody looks on.
    #[expect(clippy::unused_self, reason = "rows have nothing else to talk through")]
    pub fn progress(&self, what: &str) {
        let mut err = io::stderr();
        let _ = if err.is_terminal() { write!(err, "\r\x1b[K{what}") } else { writeln!(err, "{what}") };
    }

    /// The workload without a mesh.
    pub fn backend(&self) -> Result<Server> {
        peers::backend(&self.billing, self.dir.path(), Some(self.cores.load))
    }

    /// A new mesh with three nodes; `core` binds it and all it starts.
    pub fn mesh(&self, core: Option<usize>) -> Result<Mesh> {
        Mesh::start(&self.mesh, &self.next_dir(), core, &[])
    }

    /// The same, bound to the proxy's core, which tells a collector.
    pub fn mesh_telling(&self, collector: &str) -> Result<Mesh> {
        let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT={collector}");
        Mesh::start(&self.mesh, &self.next_dir(), Some(self.cores.proxy), &["env", &endpoint])
    }

    /// One that can't see the machine's cgroups, on the proxy's core.
    pub fn mesh_without_groups(&self) -> Result<Mesh> {
        let hide = "umount -R /sys/fs/cgroup && exec \"$@\"";
        let before = ["unshare", "--mount", "sh", "-c", hide, "sh"];
        Mesh::start(&self.mesh, &self.next_dir(), Some(self.cores.proxy), &before)
    }

    fn next_dir(&self) -> PathBuf {
        let number = self.meshes.get();
        self.meshes.set(number + 1);
        self.dir.path().join(format!("mesh-{number}"))
    }

    /// One run of a load on the load's core; an open one is warmed up first.
    pub fn drive(
        &self,
        server: &Server,
        connections: usize,
        pace: Pace,
        duration: Duration,
    ) -> Result<Tally> {
        let warmup = if matches!(pace, Pace::Open(_)) { self.short() } else { Duration::ZERO };
        let load = Load {
            connections,
            pace,
            warmup,
            duration,
            core: Some(self.cores.load),
            judge: None,
            remote: false,
        };
        // on a thread of its own, since it is bound to a core and we are not
        thread::scope(|scope| {
            let run = scope.spawn(|| load::run(&server.target, &load, |_| false));
            match run.join() {
                Ok(tally) => Ok(tally?),
                Err(_) => bail!("the load on {} panicked", server.name),
            }
        })
    }

    /// The edge without a mesh.
    pub fn bare_edge(&self, backend: SocketAddr) -> Result<Server> {
        let program = self.edge_proxy.as_ref().context("no bare edge was named")?;
        let listen = peers::local(peers::free_port()?);
        let argv =
            [&program.to_string_lossy(), &*listen.to_string(), &backend.to_string()].map(str::to_owned);
        let argv = argv.each_ref().map(String::as_str);
        let log = self.dir.path().join("edge.log");
        let process = Process::start("mesh", &argv, &[], Some(self.cores.proxy), &log)?;
        peers::listening(process, "mesh", Target::new(listen, "/app/hello", "from billing"))
    }

    /// The proxies to compare with.
    pub fn peers(&self, backend: SocketAddr) -> Result<Vec<Server>> {
        let (dir, core): (&Path, _) = (self.dir.path(), self.cores.proxy);
        Ok(vec![peers::nginx(backend, dir, core)?, peers::haproxy(backend, dir, core)?])
    }
}
