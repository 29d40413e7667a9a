//! The edge's certificate: the operator's own files, or one made here for development.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Whose word counts where nobody else is named: those whom the machine trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whether and with what the edge speaks TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// A certificate chain and its key, both PEM.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// A self-signed certificate for `localhost` and the loopback addresses, made once and kept.
    Development,
}

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that isn't there, isn't readable or isn't PEM of the right kind.
    #[error("read {what} from {}: {reason}", .path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key don't belong together, or are unusable.
    #[error("use the certificate {} with the key {}: {reason}", .certificate.display(), .key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        reason: String,
    },
    /// The development certificate can't be made.
    #[error("make a development certificate in {}: {reason}", .dir.display())]
    Make {
        /// Where.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
    /// The development certificate that was made once can't be used any more.
    #[error("use the development certificate: {0}")]
    Kept(#[source] Box<TlsError>),
}

/// The configuration that `tls` asks for; the development certificate is kept in `dir`.
pub(crate) fn server_config(tls: &Tls, dir: &Path) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    match tls {
        Tls::Off => Ok(None),
        Tls::Files { certificate, key } => load(certificate, key).map(Some),
        Tls::Development => {
            let (certificate, key) = development(dir)?;
            load(&certificate, &key).map(Some).map_err(|error| TlsError::Kept(Box::new(error)))
        }
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let file =
        |what, path: &Path, e: pem::Error| TlsError::File { what, path: path.to_owned(), reason: reason(e) };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .and_then(|chain: Vec<_>| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|e| file("a certificate", certificate, e))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| file("a private key", key, e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |e: rustls::Error| TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: e.to_string(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn reason(error: pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "there is none in it (PEM)".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Makes the development certificate unless it is there.
fn development(dir: &Path) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (dir.join("development.crt"), dir.join("development.key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let refused = |reason: String| TlsError::Make { dir: dir.to_owned(), reason };
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| refused(e.to_string()))?;
    let write = || -> io::Result<()> {
        crate::paths::private_dir(dir)?;
        write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
        std::fs::write(&certificate, made.cert.pem())
    };
    write().map_err(|e| refused(e.to_string()))?;
    Ok((certificate, key))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

/// What servers elsewhere are believed by: the certificates in `path` (PEM), which `setting` names, or those of the machine.
pub(crate) fn client_config(path: Option<&Path>, setting: &str) -> Result<ClientConfig, String> {
    let path = path.unwrap_or(Path::new(AUTHORITIES));
    let failed = |reason: &dyn std::fmt::Display| {
        format!("failed to read the certificates in {} ({setting}): {reason}", path.display())
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))? {
        roots.add(certificate.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"there are none"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_certificate_is_made_once_and_loads() {
        let dir = tempfile::tempdir().unwrap();
        assert!(server_config(&Tls::Development, dir.path()).unwrap().is_some());
        let first = std::fs::read(dir.path().join("development.crt")).unwrap();
        server_config(&Tls::Development, dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("development.crt")).unwrap(), first);
    }

    #[test]
    fn files_that_are_no_certificate_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("a.crt"), dir.path().join("a.key"));
        std::fs::write(&certificate, "garbage").unwrap();
        let error = server_config(&Tls::Files { certificate, key }, dir.path()).unwrap_err();
        assert!(error.to_string().contains("a.crt") || error.to_string().contains("a.key"), "{error}");
    }
}
