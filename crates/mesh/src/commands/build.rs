//! `mesh build`: a manifest and a binary become a signed spore.

use std::path::PathBuf;

use serde::Serialize;
use spore::Identity;
use types::Signer as _;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::packing::{self, Attest, Bill, Contents};
use crate::{provenance, publisher};

/// Pack a binary and its manifest into a signed spore.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest (JSON)
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The program, or the script of a manifest with an interpreter
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// A folder that comes with it, as files/ beside the program
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Pack an SBOM (CycloneDX): this file, or one that is made of what stands beside the binary
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    sbom: Option<Option<PathBuf>>,
    /// Pack from which commit of which repository it was built, signed
    #[arg(long)]
    provenance: bool,
    /// Who builds it, as its provenance says
    #[arg(long, value_name = "URI", default_value = provenance::BUILDER, value_parser = provenance::builder)]
    builder: String,
    /// Pack a Sigstore bundle over your .pub file, by which nodes may trust the key (see `mesh trust identity`)
    #[arg(long, value_name = "FILE")]
    sigstore_bundle: Option<PathBuf>,
    /// Where the .spore file goes
    #[arg(long, value_name = "DIR", default_value = "./out")]
    out: PathBuf,
    /// The version instead of the manifest's
    #[arg(long, value_name = "VERSION")]
    tag: Option<String>,
    /// Sign with this key of yours, or key file [default: the development key, made on first use]
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Built {
    path: PathBuf,
    digest: String,
    name: String,
    version: String,
    bytes: u64,
    public_key: String,
    fingerprint: String,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let mut template = packing::template(&args.manifest)?;
    if let Some(tag) = &args.tag {
        template.set_version(tag);
    }
    if spore::identity(template.version()) == Identity::Latest {
        context
            .out
            .warn("the version \"latest\" is for development only: publish, release and deploy refuse it");
    }
    let key = publisher::load(context, args.key.as_deref())?;
    let attest = Attest {
        sbom: args.sbom.map(|file| file.map_or(Bill::Made, Bill::Given)),
        provenance: args.provenance.then_some(args.builder),
        publisher: args.sigstore_bundle,
    };
    let contents = Contents { binary: args.binary, files: args.files, created_at: None, attest };
    let (path, packed) = packing::pack(&template, &contents, &key, &args.out)?;
    let built = Built {
        path,
        digest: packed.digest.to_string(),
        name: template.name().to_string(),
        version: template.version().to_owned(),
        bytes: packed.bytes,
        public_key: key.public_key().to_string(),
        fingerprint: key.fingerprint().to_string(),
    };
    if args.json {
        context.out.json(&built)?;
    } else {
        context.out.note(format_args!(
            "packed {} {} ({} bytes), signed by {}\ndigest {}",
            built.name, built.version, built.bytes, built.fingerprint, built.digest
        ));
        context.out.line(built.path.display())?;
    }
    Ok(Code::Ok)
}
