//! Peers: nginx and HAProxy as a reverse proxy with kept-alive connections to one backend, as their own documentation
//! advises, from configurations of our own in a folder of ours; the system's services are never touched.
//!
//! Both route `/billing/…` to the backend's `/…`, which is what the edge does. Neither writes an access log, and neither
//! adds the header fields that the edge adds.

mod pair;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::Target;
use crate::machine;
use crate::process::Process;

pub use pair::{Certificate, Files, nginx_files, nginx_pair};

/// The longest a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server to be loaded, and the processes whose CPU time is its cost.
pub struct Server {
    /// For the table.
    pub name: &'static str,
    /// Whom to ask for what.
    pub target: Target,
    /// The processes whose CPU time a request costs.
    pids: Vec<u32>,
    /// Its own processes, whose workers count too; a mesh's are kept elsewhere.
    processes: Vec<Process>,
}

impl Server {
    /// One whose processes are kept elsewhere.
    pub fn new(name: &'static str, target: Target, pids: Vec<u32>) -> Self {
        Self { name, target, pids, processes: Vec::new() }
    }

    /// CPU time used so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        // Looked up each time: nginx listens before its worker is there.
        let workers = self.processes.iter().flat_map(|process| machine::children(process.id()));
        self.pids.iter().copied().chain(workers).map(machine::cpu_time).sum()
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The address of a local port.
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The workload itself, as the backend of the peers and as what a direct request costs.
pub fn backend(billing: &Path, dir: &Path, core: Option<usize>) -> Result<Server> {
    let port = free_port()?;
    let program = billing.to_string_lossy();
    let process = Process::start(
        "billing",
        &[&program],
        &[("PORT", &port.to_string())],
        core,
        &dir.join("billing.log"),
    )?;
    listening(process, "direct", Target::new(local(port), "/hello", "from billing"))
}

/// nginx: one worker, an upstream with a keep-alive pool (<https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive>).
pub fn nginx(backend: SocketAddr, dir: &Path, core: usize) -> Result<Server> {
    let port = free_port()?;
    let dir = dir.join("nginx");
    fs::create_dir_all(&dir)?;
    let (folder, config) = (dir.display(), dir.join("nginx.conf"));
    let text = format!(
        "daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream billing {{
        server {backend};
        keepalive 128;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location /billing/ {{
            proxy_pass http://billing/;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    );
    fs::write(&config, text)?;
    let config = config.to_string_lossy();
    let argv = ["nginx", "-p", &dir.to_string_lossy(), "-c", &config, "-e", &format!("{folder}/start.log")];
    let process = Process::start("nginx", &argv, &[], Some(core), &dir.join("out.log"))?;
    listening(process, "nginx", Target::new(local(port), "/billing/hello", "from billing"))
}

/// HAProxy: one thread, connections reused whenever possible (<https://docs.haproxy.org/2.6/configuration.html#http-reuse>).
pub fn haproxy(backend: SocketAddr, dir: &Path, core: usize) -> Result<Server> {
    let port = free_port()?;
    let dir = dir.join("haproxy");
    fs::create_dir_all(&dir)?;
    let config = dir.join("haproxy.cfg");
    let text = format!(
        "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option http-keep-alive
    http-reuse always
frontend edge
    bind 127.0.0.1:{port}
    use_backend billing if {{ path_beg /billing/ }}
backend billing
    http-request set-path %[path,bytes(8)]
    server one {backend} maxconn 4096 pool-max-conn 128
"
    );
    fs::write(&config, text)?;
    let argv = ["haproxy", "-f", &config.to_string_lossy(), "-db"];
    let process = Process::start("haproxy", &argv, &[], Some(core), &dir.join("out.log"))?;
    listening(process, "haproxy", Target::new(local(port), "/billing/hello", "from billing"))
}

/// Waits until somebody listens.
pub fn listening(mut process: Process, name: &'static str, target: Target) -> Result<Server> {
    let connect = || TcpStream::connect_timeout(&target.address, Duration::from_millis(200)).ok();
    process.until("it listened", PATIENCE, connect).with_context(|| format!("failed to start {name}"))?;
    Ok(Server { name, target, pids: vec![process.id()], processes: vec![process] })
}
