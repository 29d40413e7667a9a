//! Vault: content keys wrapped by the transit engine of HashiCorp Vault (or OpenBao), instead of shares for nodes.
//!
//! Who may open a secret is then Vault's to say, and Vault's log shows each who did: a node whose token is revoked opens
//! nothing any more, without anything being sealed anew. `vault.json` in the folder of the configuration says where
//! it is, on operators' machines and on nodes alike:
//!
//! ```json
//! { "address": "https://vault.example:8200", "key": "mesh", "token_file": "/run/vault/token" }
//! ```
//!
//! One request a secret, bounded in time and size; nothing is kept. The token is read for each, so that whoever
//! renews it only writes the file.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use genome::Secret;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::{Value, json};
use soul::{ContentKey, Custodian, KeyService, ServiceError, UnsealError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::{Paths, tls};

/// How long one request may take, from the name's resolution to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// The most bytes of the files that are read here, but for the certificates.
const MAX_FILE: u64 = 16 * 1024;
/// The most of an error of Vault's that is repeated.
const MAX_REASON: usize = 300;

/// `vault.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// `https://HOST[:PORT]`; `http://` to a loopback address only.
    address: String,
    /// The name of the key in the transit engine.
    key: String,
    /// Where the engine is mounted.
    #[serde(default = "transit")]
    mount: String,
    /// Where the token is.
    token_file: PathBuf,
    /// Whose certificates are believed (PEM).
    #[serde(default)]
    ca_file: Option<PathBuf>,
}

/// A key of a Vault's transit engine.
#[derive(Debug)]
pub struct Vault {
    name: String,
    settings: Settings,
    host: String,
    port: u16,
    tls: bool,
}

/// A `vault.json` that can't be meant.
#[derive(Debug, thiserror::Error)]
#[error("use {}: {reason}", .path.display())]
pub struct VaultError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Vault {
    /// The one that `vault.json` names; `None` where there is no such file.
    pub fn open(paths: &Paths) -> Result<Option<Self>, VaultError> {
        let path = paths.vault_file();
        let wrong = |reason: String| VaultError { path: path.clone(), reason };
        let text = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.and_then(|file| read(file, MAX_FILE)).map_err(|error| wrong(error.to_string()))?,
        };
        let settings = types::json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        Self::new(settings).map(Some).map_err(wrong)
    }

    fn new(settings: Settings) -> Result<Self, String> {
        let uri: Uri = settings.address.parse().map_err(|_| "address: not a URL".to_owned())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("address: neither https:// nor http://".to_owned()),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !loopback {
            return Err(
                "address: without TLS everybody on the way could read the token; write https://".into()
            );
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("address: it has a path; the engine's mount is a field of its own".to_owned());
        }
        let plain = |text: &str| {
            let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            (1..=64).contains(&text.len()) && text.bytes().all(fine)
        };
        if !plain(&settings.key) || !settings.mount.split('/').all(plain) {
            return Err("key, mount: only letters, digits, '-', '_' and '.'".to_owned());
        }
        Ok(Self {
            name: format!("vault:{}/{}", settings.mount, settings.key),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            host,
            tls,
            settings,
        })
    }

    /// Asks for `action`; blocks. A thread of its own, since who calls may be on a runtime's.
    fn ask(&self, action: &str, wish: Value) -> Result<Answer, ServiceError> {
        let failed = |reason: String| {
            ServiceError(format!("{} of Vault at {}: {reason}", self.settings.key, self.settings.address))
        };
        let body = Zeroizing::new(serde_json::to_vec(&wish).expect("plain data always serialises"));
        wipe(wish);
        let asked = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                runtime.block_on(async {
                    let asked = tokio::time::timeout(PATIENCE, self.exchange(action, body));
                    asked.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
                })
            });
            worker.join().unwrap_or_else(|_| Err("asking it failed".to_owned()))
        });
        asked.map_err(failed)
    }

    async fn exchange(&self, action: &str, body: Zeroizing<Vec<u8>>) -> Result<Answer, String> {
        let Settings { mount, key, .. } = &self.settings;
        let token = self.token()?;
        let request = Request::post(format!("/v1/{mount}/{action}/{key}"))
            .header("host", format!("{}:{}", self.host, self.port))
            .header("content-type", "application/json")
            .header("x-vault-request", "true")
            .header("x-vault-token", token.as_slice())
            .body(Full::new(Bytes::from_owner(body)))
            .map_err(|_| "the token is none that a header can carry".to_owned())?;
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket = socket.map_err(|error| format!("failed to connect: {error}"))?;
        if !self.tls {
            return answer(socket, request).await;
        }
        let server = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls::client_config(
            self.settings.ca_file.as_deref(),
            "ca_file",
        )?));
        let socket = connector.connect(server, socket).await;
        answer(socket.map_err(|error| format!("failed to connect: {error}"))?, request).await
    }

    fn token(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let path = &self.settings.token_file;
        let failed =
            |reason: &dyn std::fmt::Display| format!("failed to read its token {}: {reason}", path.display());
        let file = File::open(path).map_err(|error| failed(&error))?;
        let meta = file.metadata().map_err(|error| failed(&error))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(failed(&format_args!("others may read it; run: chmod 600 {}", path.display())));
        }
        let text = read(file, MAX_FILE).map_err(|error| failed(&error))?;
        Ok(Zeroizing::new(text.trim_ascii().to_vec()))
    }
}

impl Custodian for Vault {
    fn content_key(&self, secret: &Secret, bound: &[u8]) -> Result<ContentKey, UnsealError> {
        let wrapped = secret.held.get(&self.name).ok_or(UnsealError::NoShare)?;
        let wish = json!({ "ciphertext": wrapped, "associated_data": STANDARD.encode(bound) });
        let answer = self.ask("decrypt", wish)?;
        let key = answer
            .plaintext
            .as_ref()
            .map(|text| Zeroizing::new(STANDARD.decode(text.as_bytes()).unwrap_or_default()));
        soul::content_key(&key.unwrap_or_default())
    }
}

impl KeyService for Vault {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &ContentKey, bound: &[u8]) -> Result<String, ServiceError> {
        let wish = json!({ "plaintext": STANDARD.encode(key.as_slice()), "associated_data": STANDARD.encode(bound) });
        let answer = self.ask("encrypt", wish)?;
        answer.ciphertext.ok_or_else(|| ServiceError(format!("{} answered without a ciphertext", self.name)))
    }
}

/// What the two requests are answered with.
#[derive(Default)]
struct Answer {
    ciphertext: Option<String>,
    plaintext: Option<Zeroizing<String>>,
}

async fn answer<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    socket: S,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let broke = |error: hyper::Error| format!("the connection broke: {error}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(broke)?;
    let serving = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broke)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body =
        Zeroizing::new(body.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes().to_vec());
    serving.abort();
    understand(status.as_u16(), &body)
}

/// What an answer says.
fn understand(status: u16, body: &[u8]) -> Result<Answer, String> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        data: Data,
        errors: Vec<String>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Data {
        ciphertext: Option<String>,
        plaintext: Option<String>,
    }
    let read: Result<Body, _> = serde_json::from_slice(body);
    if status != 200 {
        let errors = read.map(|body| body.errors.join("; ")).unwrap_or_default();
        let said: String = errors.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        return Err(format!("it refused with status {status}: {said}"));
    }
    let Data { ciphertext, plaintext } = read.map_err(|_| "its answer is not Vault's".to_owned())?.data;
    Ok(Answer { ciphertext, plaintext: plaintext.map(Zeroizing::new) })
}

fn read(file: File, most: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(most + 1).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("it holds more than {most} bytes")));
    }
    Ok(bytes)
}

/// Wipes the texts of a wish.
fn wipe(wish: Value) {
    if let Value::Object(fields) = wish {
        for (_, value) in fields {
            if let Value::String(text) = value {
                drop(Zeroizing::new(text));
            }
        }
    }
}

fn transit() -> String {
    "transit".to_owned()
}

#[cfg(test)]
mod tests;
