//! Asking a replica for its health, over loopback, with every wait and every byte bounded.
//!
//! `http` is `GET path` over HTTP/1.1 and counts with status 200 only. A workload that speaks `h2c` and not
//! `http` is well when it answers an HTTP/2 preface with its SETTINGS: gRPC servers have no path to ask.
//! `tcp` is a connection. An answer counts only when the port is the replica's own: the first time, the
//! listening socket must belong to its process, its relay or a child of either, where `/proc` lets us see that.

mod owner;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::core::Check;

/// The first wait between two tries while a replica starts. A try that is refused costs some 30 us.
const FIRST_WAIT: Duration = Duration::from_millis(1);
/// The longest wait between two tries while a replica starts.
const LAST_WAIT: Duration = Duration::from_millis(50);
/// A wait is this part of the time waited so far: readiness is found at most so much late.
const WAIT_PART: u32 = 8;
/// The time one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(2);
/// The most bytes of an answer's head that are read.
const MAX_HEAD: usize = 4096;
/// The client's preface with an empty SETTINGS frame (RFC 9113 §3.4, §6.5).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The fourth byte of a frame: SETTINGS.
const H2_SETTINGS: u8 = 4;

/// Whose health is asked, and where.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub check: Check,
    pub port: u16,
    /// Who listens there: its main process, or the relay of its network.
    pub listener: u32,
}

/// Asks until the answer is good, for at most `within`; says why it never was.
pub(crate) async fn ready(target: &Target, within: Duration) -> Result<(), String> {
    let began = Instant::now();
    let end = began + within;
    let mut last = "it was not asked in time".to_owned();
    loop {
        match timeout_at(end, once(target)).await {
            Ok(Ok(())) => match target.is_the_listener().await {
                true => return Ok(()),
                false => last = format!("another process listens on its port {}", target.port),
            },
            Ok(Err(reason)) => last = reason,
            Err(_) => break,
        }
        let wait = (began.elapsed() / WAIT_PART).clamp(FIRST_WAIT, LAST_WAIT);
        if Instant::now() + wait >= end {
            break;
        }
        sleep(wait).await;
    }
    if listens_on_ipv6_only(target.port).await {
        last = format!("it listens on ::1 alone; let it listen on 127.0.0.1:{}", target.port);
    }
    Err(format!("not ready within {} ms: {last}", within.as_millis()))
}

/// Asks once.
pub(crate) async fn live(target: &Target) -> Result<(), String> {
    once(target).await
}

/// What `localhost` means to some runtimes; the mesh asks and routes over IPv4.
async fn listens_on_ipv6_only(port: u16) -> bool {
    let takes = async |ip: IpAddr| {
        matches!(timeout(ONE_ANSWER, TcpStream::connect(SocketAddr::new(ip, port))).await, Ok(Ok(_)))
    };
    !takes(Ipv4Addr::LOCALHOST.into()).await && takes(Ipv6Addr::LOCALHOST.into()).await
}

async fn once(target: &Target) -> Result<(), String> {
    let asked = async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port));
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        match &target.check {
            Check::Tcp => Ok(()),
            Check::Http(path) => http(stream, target.port, path).await,
            Check::H2c => h2c(stream).await.map_err(|error| format!("HTTP/2 preface: {error}")),
        }
    };
    match timeout(ONE_ANSWER, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", ONE_ANSWER.as_secs())),
    }
}

async fn http(mut stream: TcpStream, port: u16, path: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: mesh-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let told = |error: io::Error| format!("GET {path}: {error}");
    stream.write_all(request.as_bytes()).await.map_err(told)?;
    let mut head = Vec::with_capacity(256);
    loop {
        let read = (&mut stream).take(512).read_buf(&mut head).await.map_err(told)?;
        if let Some(status) = status(&head) {
            return match status {
                200 => Ok(()),
                other => Err(format!("GET {path}: status {other}")),
            };
        }
        if read == 0 || head.len() > MAX_HEAD || head.contains(&b'\n') {
            return Err(format!("GET {path}: the answer is not HTTP/1.1"));
        }
    }
}

/// The status of a whole status line, if the bytes begin with one.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next().filter(|line| line.len() < head.len())?;
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.get(..3)?;
    let whole = rest[3..].is_empty() || rest[3..].starts_with([' ', '\r']);
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    (version.starts_with("HTTP/1.") && whole && digits).then(|| code.parse().ok())?
}

async fn h2c(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(H2_PREFACE).await?;
    let mut header = [0; 9];
    stream.read_exact(&mut header).await?;
    // A server's preface is a SETTINGS frame on stream 0, not an acknowledgement of ours.
    let settings = header[3] == H2_SETTINGS && header[4] & 1 == 0 && header[5..] == [0; 4];
    if settings { Ok(()) } else { Err(io::Error::other("the answer is not a SETTINGS frame")) }
}

impl Target {
    /// Whether the port is this process's or one of its children's; where that can't be seen, it is.
    async fn is_the_listener(&self) -> bool {
        let (listener, port) = (self.listener, self.port);
        tokio::task::spawn_blocking(move || owner::listens(listener, port)).await.ok().flatten()
            != Some(false)
    }
}

#[cfg(test)]
mod tests;
