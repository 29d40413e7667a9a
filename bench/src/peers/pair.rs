//! Pair: what people put in the place of two nodes: two nginx with TLS 1.3 between them, and one that serves files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Server, free_port, listening, local};
use crate::load::Target;
use crate::process::Process;

/// A key and a certificate for this machine, made for one run.
pub struct Certificate {
    key: PathBuf,
    chain: PathBuf,
}

/// An nginx that serves the files of one folder over TLS.
pub struct Files {
    /// Where, with the slash at its end.
    pub url: String,
    /// What it is to be trusted by.
    pub certificate: PathBuf,
    _server: Server,
}

impl Certificate {
    /// Makes them by openssl.
    pub fn make(dir: &Path) -> Result<Self> {
        let (key, chain) = (dir.join("bench.key"), dir.join("bench.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&chain)
            .stdin(Stdio::null())
            .output()
            .context("failed to run openssl")?;
        if !made.status.success() {
            bail!("openssl made no certificate: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Self { key, chain })
    }

    /// What a server says with it: TLS 1.3 alone.
    fn server(&self) -> String {
        let (key, chain) = (self.key.display(), self.chain.display());
        format!("ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;")
    }
}

/// The client's nginx, TLS 1.3 on kept-alive connections, and the backend's nginx; both checked, as nodes are.
/// <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_verify>
pub fn nginx_pair(
    backend: SocketAddr,
    dir: &Path,
    core: Option<usize>,
    certificate: &Certificate,
) -> Result<Server> {
    let (front, back) = (free_port()?, free_port()?);
    let behind = format!(
        "upstream billing {{ server {backend}; {KEPT} }}
    server {{
        listen 127.0.0.1:{back} ssl; {}
        location / {{ proxy_pass http://billing; {HTTP11} }}
    }}",
        certificate.server()
    );
    let trusted = certificate.chain.display();
    let before = format!(
        "upstream far {{ server 127.0.0.1:{back}; {KEPT} }}
    server {{
        listen 127.0.0.1:{front};
        location /billing/ {{
            proxy_pass https://far/; {HTTP11}
            proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;
            proxy_ssl_verify on; proxy_ssl_name bench; proxy_ssl_trusted_certificate {trusted};
        }}
    }}"
    );
    let mut far = start(&dir.join("nginx-far"), &behind, back, core, "/hello")?;
    let mut near = start(&dir.join("nginx-near"), &before, front, core, "/billing/hello")?;
    near.name = "two nginx, TLS 1.3";
    near.pids.append(&mut far.pids);
    near.processes.append(&mut far.processes);
    Ok(near)
}

/// Serves the files of `root` over TLS 1.3.
pub fn nginx_files(root: &Path, dir: &Path, certificate: &Certificate) -> Result<Files> {
    let port = free_port()?;
    let text = format!(
        "server {{ listen 127.0.0.1:{port} ssl; {} sendfile on; root {}; }}",
        certificate.server(),
        root.display()
    );
    let server = start(&dir.join("nginx-files"), &text, port, None, "/")?;
    Ok(Files {
        url: format!("https://127.0.0.1:{port}/"),
        certificate: certificate.chain.clone(),
        _server: server,
    })
}

/// A pool as the single nginx has it.
const KEPT: &str = "keepalive 128; keepalive_requests 1000000000; keepalive_timeout 600s;";
const HTTP11: &str = "proxy_http_version 1.1; proxy_set_header Connection \"\";";

fn start(dir: &Path, servers: &str, port: u16, core: Option<usize>, path: &str) -> Result<Server> {
    fs::create_dir_all(dir)?;
    let (folder, config) = (dir.display(), dir.join("nginx.conf"));
    let text = format!(
        "daemon off;
worker_processes 1;
user root;
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
    {servers}
}}
"
    );
    fs::write(&config, text)?;
    let config = config.to_string_lossy();
    let argv = ["nginx", "-p", &dir.to_string_lossy(), "-c", &config, "-e", &format!("{folder}/start.log")];
    let process = Process::start("nginx", &argv, &[], core, &dir.join("out.log"))?;
    listening(process, "nginx", Target::new(local(port), path, "from billing"))
}
