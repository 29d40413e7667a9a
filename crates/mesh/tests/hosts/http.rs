//! An HTTP/1.1 client in a host: what is asked by `GET`, and the answer, read to its length.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::host::Host;

/// How long a connection or an answer may take before it counts as none.
const SLOW: Duration = Duration::from_secs(15);

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its status line and headers, in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// A connection that is used for one request after the other.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// The server said that this was its last answer here.
    pub over: bool,
}

impl Host {
    /// `GET` a URL (`http://ADDRESS:PORT/PATH`) from this host.
    pub fn get(&self, url: &str) -> std::io::Result<Response> {
        let (address, path) = parts(url);
        self.space().inside(|| Connection::open(address)?.get(&path))
    }
}

/// The address and the path of a URL.
pub fn parts(url: &str) -> (SocketAddr, String) {
    let rest = url.trim_start_matches("http://");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    (address.parse().unwrap_or_else(|_| panic!("{url} is not http://ADDRESS:PORT/PATH")), format!("/{path}"))
}

/// The same URL at another address: one that serves everywhere prints only one of them.
pub fn at(url: &str, ip: IpAddr) -> String {
    let (address, path) = parts(url);
    format!("http://{}{}", SocketAddr::new(ip, address.port()), path.trim_end_matches('/'))
}

impl Connection {
    /// Connects, from the host that this thread is in.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, SLOW)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SLOW))?;
        stream.set_write_timeout(Some(SLOW))?;
        Ok(Self { stream: BufReader::new(stream), address, over: false })
    }

    /// One `GET`; see [`Connection::ask`].
    pub fn get(&mut self, path: &str) -> std::io::Result<Response> {
        self.ask("GET", path)
    }

    /// One `GET` with another header line.
    pub fn get_with(&mut self, path: &str, line: &str) -> std::io::Result<Response> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{line}\r\n\r\n", self.address))
    }

    /// One request without a body. An error of kind `ConnectionReset` says that the server had closed the connection before
    /// it could see the request, so that it may be repeated.
    pub fn ask(&mut self, method: &str, path: &str) -> std::io::Result<Response> {
        let length = if method == "GET" { "" } else { "content-length: 0\r\n" };
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{length}\r\n", self.address))
    }

    fn send(&mut self, request: &str) -> std::io::Result<Response> {
        let unseen = || Error::from(ErrorKind::ConnectionReset);
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|_| unseen())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let before = head.len();
            match self.stream.read_line(&mut head) {
                Ok(0) if before == 0 => return Err(unseen()),
                Ok(0) => return Err(Error::new(ErrorKind::UnexpectedEof, "the answer ends in its head")),
                Err(error) if before == 0 && error.kind() == ErrorKind::ConnectionReset => return Err(error),
                Err(error) => return Err(Error::new(ErrorKind::TimedOut, error)),
                Ok(_) => {}
            }
        }
        let head = head.to_lowercase();
        self.over = head.contains("\r\nconnection: close\r\n");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = String::from_utf8_lossy(&self.body(&head)?).into_owned();
        Ok(Response { status, head, body })
    }

    fn body(&mut self, head: &str) -> std::io::Result<Vec<u8>> {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = Vec::new();
        if let Some(length) = length {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body)?;
        } else if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            loop {
                let mut line = String::new();
                self.stream.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(Error::other)?;
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk)?;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }
}
