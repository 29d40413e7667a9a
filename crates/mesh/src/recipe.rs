//! One app of a `mesh.toml`, built and packed with the version of its tree: what `up` and `release` share.

use std::path::{Path, PathBuf};

use soul::SecretKey;
use spore::Template;
use types::AppName;

use crate::builder;
use crate::context::Context;
use crate::failure::Failure;
use crate::identity::{Commit, Tree};
use crate::meshfile::{App, MeshFile};
use crate::packing::{self, Attest, Contents};

/// Says which version `app` gets; what is wrong with it is said once for each text.
pub fn stamp(file: &MeshFile, name: &AppName, app: &App) -> Result<(Template, Tree), Failure> {
    let path = file.folder.join(&app.manifest);
    let mut template = packing::template(&path)?;
    if template.name() != name {
        return Err(Failure::usage(format_args!(
            "[app.{name}]: its manifest {} is that of {}",
            path.display(),
            template.name()
        ))
        .hint(format_args!("write [app.{}], or change the manifest's name", template.name())));
    }
    let tree = Tree::of(&file.folder, template.version())?;
    template.set_version(&tree.tag);
    Ok((template, tree))
}

/// Builds and packs it into `out`, saying from what it was built if a builder is named; where its .spore file is.
pub async fn make(
    context: &Context,
    file: &MeshFile,
    app: &App,
    (template, tree): (&Template, &Tree),
    key: &SecretKey,
    (out, provenance): (&Path, Option<&str>),
) -> Result<PathBuf, Failure> {
    if let Some(command) = &app.build {
        builder::build(context, template.name().as_str(), command, &file.folder).await?;
    }
    let contents = Contents {
        binary: file.folder.join(&app.binary),
        files: app.files.as_ref().map(|files| file.folder.join(files)),
        created_at: tree.committed_at,
        attest: Attest {
            sbom: app.sbom.as_ref().and_then(|sbom| sbom.within(&file.folder)),
            provenance: provenance.map(str::to_owned),
            publisher: None,
        },
    };
    if !contents.binary.is_file() {
        let hint = if app.build.is_some() {
            "its build command made none"
        } else {
            "say how to make it: build = \"…\""
        };
        return Err(Failure::new(format_args!(
            "there is no binary of {} at {}",
            template.name(),
            contents.binary.display()
        ))
        .hint(hint));
    }
    let (path, _) = packing::pack(template, &contents, key, out)?;
    Ok(path)
}

/// Whether a tree may be released at all.
pub fn releasable(tree: &Tree) -> Result<(), Failure> {
    packing::refuse_latest(&tree.tag)?;
    if tree.commit == Commit::Unknown {
        return Err(Failure::new("this tree has no git commit to name a release after")
            .hint("commit it first; `mesh up` runs what isn't committed"));
    }
    Ok(())
}
