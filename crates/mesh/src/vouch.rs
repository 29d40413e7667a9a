//! Sigstore bundles and the roots under which they hold, as files.

use std::path::{Path, PathBuf};

use lichen::{Expected, Root};

use crate::exit::Code;
use crate::failure::Failure;

/// What a Sigstore bundle is asked with.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sigstore")]
pub struct Asked {
    /// Check this Sigstore bundle over the .spore file too
    #[arg(long, value_name = "FILE", requires_all = ["trust_root", "identity", "issuer"])]
    sigstore_bundle: Option<PathBuf>,
    /// Whose certificates and logs are believed: a trusted_root.json
    #[arg(long, value_name = "FILE", requires = "sigstore_bundle")]
    trust_root: Option<PathBuf>,
    /// Who must have signed, exactly: an e-mail address, or the URI of a workflow
    #[arg(long, value_name = "NAME", requires = "sigstore_bundle")]
    identity: Option<String>,
    /// Who knows them by that name, exactly: the identity provider's URL
    #[arg(long, value_name = "URL", requires = "sigstore_bundle")]
    issuer: Option<String>,
}

impl Asked {
    /// Checks the bundle that is named, if one is, over the spore at `path`; who signed.
    pub fn verify(&self, path: &Path) -> Result<Option<&str>, Failure> {
        let Self {
            sigstore_bundle: Some(bundle),
            trust_root: Some(root),
            identity: Some(identity),
            issuer: Some(issuer),
        } = self
        else {
            return Ok(None);
        };
        let root = self::root(root)?;
        let text = read(bundle, lichen::MAX_BUNDLE_BYTES)?;
        let spore = std::fs::File::open(path)
            .map_err(|e| Failure::new(format_args!("failed to open {}: {e}", path.display())))?;
        lichen::verify(&text, spore, &root, Expected { identity, issuer }).map_err(|refusal| {
            Failure::new(format_args!("{}: {refusal}", bundle.display())).code(Code::Refused)
        })?;
        Ok(Some(identity))
    }
}

/// The root in a file.
pub fn root(path: &Path) -> Result<Root, Failure> {
    let text = read(path, lichen::MAX_ROOT_BYTES)?;
    Root::read(&text).map_err(|refusal| {
        Failure::usage(format_args!("{}: {refusal}", path.display()))
            .hint("a trusted_root.json is what `cosign trusted-root create` writes, and what TUF repositories serve")
    })
}

/// A file of at most so many bytes.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let unread =
        |e: &dyn std::fmt::Display| Failure::usage(format_args!("failed to read {}: {e}", path.display()));
    let length = std::fs::metadata(path).map_err(|e| unread(&e))?.len();
    if length > most as u64 {
        return Err(unread(&format_args!("{length} bytes are more than {most}")));
    }
    std::fs::read(path).map_err(|e| unread(&e))
}
