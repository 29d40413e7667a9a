//! Brings what a person names into the mesh's repo: a spore file, a digest that is there, or a plain program.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mycelium::client::Client;
use spore::{Manifest, Template};
use types::{AppName, Digest};

use crate::commands::deploy::{Program, is_program};
use crate::context::Context;
use crate::failure::Failure;
use crate::identity::Tree;
use crate::packing::{self, Attest, Contents};
use crate::plans::{Settings, Wish};
use crate::{publisher, target, wish};

/// The version a program without any sign of one gets.
const UNVERSIONED: &str = "v0.0.0";

/// The wish for `text`, whose spore is in the mesh's repo from then on.
pub async fn to_mesh(
    context: &Context,
    client: &Client,
    text: &str,
    program: &Program,
    settings: Settings,
) -> Result<Wish, Failure> {
    let path = Path::new(text);
    if is_program(path) {
        let scratch =
            tempfile::tempdir().map_err(|e| Failure::new(format_args!("failed to make a folder: {e}")))?;
        let (packed, _) = pack(context, path, program, scratch.path())?;
        return send(client, &packed, settings).await;
    }
    if path.exists() || text.contains('/') || text.ends_with(".spore") {
        return send(client, path, settings).await;
    }
    let digest = resolve(client, text).await?;
    wish::of_spore(&client.spore(&digest).await?, settings)
}

/// Checks a spore file and stores it in the mesh's repo.
pub async fn send(client: &Client, path: &Path, settings: Settings) -> Result<Wish, Failure> {
    let spore = target::open(path)?;
    spore.verify(None).map_err(|e| target::about(path, e))?;
    target::attestations(path, &spore)?;
    let manifest: Manifest = spore.manifest().clone();
    let file =
        File::open(path).map_err(|e| Failure::new(format_args!("failed to open {}: {e}", path.display())))?;
    let stored = client.put_spore(file).await?;
    Ok(Wish {
        app: manifest.name,
        digest: stored.digest,
        version: manifest.version,
        workload: manifest.workload,
        nutrients: manifest.nutrients.planned(),
        p99_budget_ms: manifest.slo.p99_budget_ms,
        is_routed: manifest.provides.iter().any(|what| *what != spore::Provides::Tcp),
        metric: manifest.scale,
        settings,
    })
}

/// A digest, or the one in the mesh's repo that begins so.
async fn resolve(client: &Client, text: &str) -> Result<Digest, Failure> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let spores = if target::is_beginning(text) { client.spores().await? } else { Vec::new() };
    let mut found = spores.iter().map(|s| s.digest).filter(|digest| digest.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(digest), None) => Ok(digest),
        (None, _) => {
            Err(Failure::usage(format_args!("{text:?} is neither a file nor a spore in the mesh's repo"))
                .hint("`mesh repo list` shows what is there"))
        }
        (Some(_), Some(_)) => {
            Err(Failure::usage(format_args!("{text:?} means more than one spore")).hint("write more digits"))
        }
    }
}

/// Packs a plain program into `dir`.
fn pack(
    context: &Context,
    path: &Path,
    program: &Program,
    dir: &Path,
) -> Result<(PathBuf, AppName), Failure> {
    if program.manifest.is_none() && program.interpreter.is_none() && !is_executable(path)? {
        return Err(Failure::usage(format_args!("{} is not a program", path.display()))
            .hint("a script needs a first line like #!/bin/sh, or --interpreter python3"));
    }
    let mut template = match &program.manifest {
        Some(manifest) => packing::template(manifest)?,
        None => infer(path, program)?,
    };
    let folder =
        std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
    let mut created_at = None;
    match &program.tag {
        Some(tag) => template.set_version(tag),
        None if program.manifest.is_none() => {
            let tree = Tree::of(&folder, template.version())?;
            if let Some(warning) = tree.warning() {
                context.out.warn(warning);
            }
            template.set_version(&tree.tag);
            created_at = tree.committed_at;
        }
        None => {}
    }
    let key = publisher::load(context, program.key.as_deref())?;
    let (files, attest) = (program.files.clone(), Attest::default());
    let contents = Contents { binary: path.to_owned(), files, created_at, attest };
    let (packed, _) = packing::pack(&template, &contents, &key, dir)?;
    Ok((packed, template.name().clone()))
}

/// A manifest from the flags and the file's name.
fn infer(path: &Path, program: &Program) -> Result<Template, Failure> {
    let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let name = match &program.name {
        Some(name) => name.clone(),
        None => app_name(file).ok_or_else(|| {
            Failure::usage(format_args!("{file:?} can't be the name of an app")).hint("say one: --name NAME")
        })?,
    };
    let mut set = vec![("version", UNVERSIONED.into())];
    if let Some(interpreter) = &program.interpreter {
        set.push(("interpreter", interpreter.as_str().into()));
    }
    if let Some(workload) = &program.workload {
        set.push(("workload", workload.as_str().into()));
        if workload != "service" {
            set.push(("provides", serde_json::json!([])));
        }
    }
    let mut template = Template::new(&name, UNVERSIONED, file).map_err(Failure::usage)?;
    let needs = template.nutrients();
    let cpu = program.cpu_milli.unwrap_or(needs.cpu_milli);
    let memory = program.memory_mb.unwrap_or(needs.memory_mb);
    set.push(("nutrients", serde_json::json!({ "cpu_milli": cpu, "memory_mb": memory })));
    let mut document = template.document().clone();
    document
        .extend(set.into_iter().map(|(field, value): (&str, serde_json::Value)| (field.to_owned(), value)));
    template = Template::from_value(document.into()).map_err(Failure::usage)?;
    Ok(template)
}

/// Whether the system could execute it: an ELF file, or a script that says by what (execve(2)).
fn is_executable(path: &Path) -> Result<bool, Failure> {
    let unread = |e| Failure::new(format_args!("failed to read {}: {e}", path.display()));
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(4).read_to_end(&mut start)).map_err(unread)?;
    Ok(start.starts_with(b"\x7fELF") || start.starts_with(b"#!"))
}

/// A file's name as the name of an app: `My_Server.py` is `my-server`.
fn app_name(file: &str) -> Option<AppName> {
    let stem = Path::new(file).file_stem()?.to_str()?.to_lowercase();
    let mapped: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    AppName::new(mapped.trim_matches('-')).ok()
}

#[cfg(test)]
mod tests;
