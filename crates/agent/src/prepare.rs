//! From a digest to a program that may be run: get, open, trust, compare with the plan, extract.
//!
//! The publisher is asked for before a byte is written, and what is hashed is what is run: the program is
//! handed on as the descriptor of the inode that was hashed. Blocks; never spawns.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cortex::Assignment;
use genome::{Node, Reach, Settings, Transport};
use membrane::{By, Layers};
use spore::attest::{AttestError, Attestations};
use spore::{Extracted, Manifest, Provides, Spore, SporeError};
use types::{PublicKey, Workload};

use crate::admission::{Admission, Candidate};
use crate::core::{Check, Facts, Unprepared};
use crate::profile::Confinement;
use crate::settings::{Bound, Opener};

/// Whether spores of a publisher may run here; the error says why that can't be told.
pub(crate) type Trusts = dyn Fn(&PublicKey) -> Result<bool, String> + Send + Sync;

/// What it takes to prepare a launch.
pub(crate) struct Order<'a> {
    pub wanted: &'a Assignment,
    pub repo: &'a repo::Repo,
    pub trusts: &'a Trusts,
    pub admission: &'a dyn Admission,
    /// The node that it is for.
    pub node: &'a Node,
    /// What it gets as files.
    pub settings: &'a Opener,
    /// The folder to extract into; what is left there of an earlier launch is removed.
    pub into: &'a Path,
    /// The `PATH` in which interpreters are looked for.
    pub search: &'a str,
    /// Where this node's own profiles lie.
    pub profiles: &'a Path,
    /// What it can confine workloads with.
    pub layers: &'a Layers,
}

/// A program on disk, its content checked.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub extracted: Extracted,
    pub manifest: Manifest,
    /// What runs it when it isn't native: the program and its own arguments.
    pub interpreter: Option<(PathBuf, Vec<String>)>,
    /// How far it is confined.
    pub confinement: Confinement,
    /// Its own folder for data, if it has one.
    pub data: Option<PathBuf>,
    /// What it gets as files, and the versions of it.
    pub settings: (Vec<Bound>, Settings),
}

impl Prepared {
    /// What the core wants to know of it.
    pub(crate) fn facts(&self) -> Facts {
        let manifest = &self.manifest;
        let service = manifest.workload == Workload::Service;
        Facts {
            version: manifest.version.clone(),
            unconfined: self.confinement == Confinement::Unconfined,
            provides: manifest.provides.iter().map(|what| name(*what).to_owned()).collect(),
            check: service.then(|| check(manifest)),
            health: Duration::from_millis(manifest.health.timeout_ms),
            settings: self.settings.1.clone(),
        }
    }
}

/// Does all of it.
pub(crate) fn prepare(order: &Order) -> Result<Prepared, Unprepared> {
    let digest = &order.wanted.release.digest;
    let failed = |error: &dyn Display| Unprepared::Failed(format!("failed to {error}"));
    let file = order.repo.get(digest).map_err(|error| match error {
        repo::Error::NotFound { .. } => Unprepared::Missing(format!(
            "the spore {digest} is not in the repository; publish it with: mesh publish"
        )),
        other => failed(&other),
    })?;
    let spore = spore::open(file).map_err(|error| unprepared(&error))?;
    let manifest = spore.manifest().clone();
    trusted(&spore, order)?;
    matches(&manifest, order.wanted)?;
    let attestations = spore.attestations().map_err(|error| unattested(&error))?;
    admitted(order, &manifest, &attestations)?;
    let (asked, planned) = (&manifest.security.lsm_profile, order.wanted.release.profile.as_deref());
    let confinement = Confinement::of(asked, planned, order.profiles).map_err(Unprepared::Refused)?;
    possible(&confinement, order.layers, &order.wanted.release.reach).map_err(Unprepared::Refused)?;
    let interpreter = interpreter(&manifest, order.search, &confinement)?;
    let settings = order.settings.open(order.wanted)?;
    if !settings.0.is_empty() {
        gives(&confinement, order.layers).map_err(Unprepared::Refused)?;
    }
    clear(order.into).map_err(|error| failed(&format_args!("clear {}: {error}", order.into.display())))?;
    let extracted = spore.extract(Some(digest), order.into).map_err(|error| unprepared(&error))?;
    let data = data(order.into, &confinement, &manifest)
        .map_err(|error| failed(&format_args!("make a folder for its data: {error}")))?;
    Ok(Prepared { extracted, manifest, interpreter, confinement, data, settings })
}

/// Where the data of a replica lies that was extracted there: removed with it.
pub(crate) fn data_folder(extracted: &Path) -> PathBuf {
    extracted.with_added_extension("data")
}

fn data(into: &Path, confinement: &Confinement, manifest: &Manifest) -> std::io::Result<Option<PathBuf>> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = data_folder(into);
    clear(&folder)?;
    match confinement {
        Confinement::Profile(profile) if profile.own.data && !manifest.security.read_only_fs => {
            std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
            Ok(Some(folder))
        }
        _ => Ok(None),
    }
}

/// What this machine can't give in full is a refusal.
fn possible(confinement: &Confinement, layers: &Layers, reach: &[Reach]) -> Result<(), String> {
    let Confinement::Profile(profile) = confinement else { return Ok(()) };
    let exact = reach.iter().find(|place| place.address.is_some() || place.transport == Transport::Udp);
    if let (Some(place), Err(why)) = (exact, layers.exact(profile.kept.by)) {
        return Err(format!(
            "this node can't let it reach {place} alone, for it knows no more of a place than tcp:PORT: {why}"
        ));
    }
    let user = if profile.kept.user { layers.user.clone() } else { Ok(()) };
    layers.confine(profile.kept.by).and(user).map_err(|why| {
        format!("this node can't confine it: {why}; an operator may let it run as it is: mesh deploy --profile unconfined")
    })
}

/// Whether files can be given to it alone: in memory of its own, in its room.
fn gives(confinement: &Confinement, layers: &Layers) -> Result<(), String> {
    let why = match confinement {
        Confinement::Unconfined => "it runs unconfined".to_owned(),
        Confinement::Profile(profile) if profile.kept.by == By::Landlock => {
            "its profile makes it no room".to_owned()
        }
        Confinement::Profile(_) => match &layers.room {
            Ok(()) => return Ok(()),
            Err(why) => format!("this node can't make it a room: {why}"),
        },
    };
    Err(format!(
        "its plan names secrets or configs, which are files in a room of its own, and {why}; confine it, or deploy it without them: \
         mesh deploy … --drop-secret NAME"
    ))
}

/// Removes a run folder; that there is none is fine.
pub(crate) fn clear(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What the machine did may go better next time; what the bundle is won't.
fn unprepared(error: &SporeError) -> Unprepared {
    let reason = format!("failed to {error}");
    match error {
        SporeError::Read(_) | SporeError::Exists(_) | SporeError::Write { .. } | SporeError::Changed(_) => {
            Unprepared::Failed(reason)
        }
        _ => Unprepared::Refused(reason),
    }
}

fn unattested(error: &AttestError) -> Unprepared {
    match error {
        AttestError::Spore(error) => unprepared(error),
        AttestError::False { .. } => Unprepared::Refused(format!("failed to {error}")),
    }
}

fn trusted(spore: &Spore, order: &Order) -> Result<(), Unprepared> {
    let manifest = spore.manifest();
    let key = &manifest.public_key;
    if (order.trusts)(key).map_err(Unprepared::Failed)? {
        return Ok(());
    }
    let bundle = spore.publisher_bundle().map_err(|error| unattested(&error))?;
    let unvouched = match bundle.map(|bundle| order.admission.vouched(key, &bundle)) {
        Some(Ok(())) => return Ok(()),
        Some(Err(why)) => format!(" (its Sigstore bundle doesn't help: {why})"),
        None => String::new(),
    };
    Err(Unprepared::Refused(format!(
        "{} {} was signed by {}, whom nobody here trusts{unvouched}; if you do (with --mesh, on every node): \
         mesh trust add {key}",
        manifest.name,
        manifest.version,
        key.fingerprint(),
    )))
}

/// The rules are asked last of all that is asked without writing: whoever writes them may rely on the rest.
fn admitted(order: &Order, manifest: &Manifest, attestations: &Attestations) -> Result<(), Unprepared> {
    let Assignment { app, release, .. } = order.wanted;
    let candidate = Candidate { app, digest: &release.digest, manifest, attestations, node: order.node };
    match order.admission.reasons(&candidate) {
        Ok(reasons) if reasons.is_empty() => Ok(()),
        Ok(reasons) => Err(Unprepared::Refused(format!("denied by policy: {}", reasons.join("; ")))),
        Err(why) => Err(Unprepared::Failed(format!("denied, since the policies can't be asked: {why}"))),
    }
}

/// The planner counted with what the plan says; a spore that says something else was not planned for.
fn matches(manifest: &Manifest, wanted: &Assignment) -> Result<(), Unprepared> {
    let release = &wanted.release;
    let differs = |what: &str, plan: &dyn Display, spore: &dyn Display| {
        Err(Unprepared::Refused(format!(
            "the plan says {what} {plan}, its spore says {spore}; deploy the spore again"
        )))
    };
    if manifest.name != wanted.app {
        return differs("app", &wanted.app, &manifest.name);
    }
    if manifest.workload != release.workload {
        return differs("workload", &kind(release.workload), &kind(manifest.workload));
    }
    if !release.version.is_empty() && manifest.version != release.version {
        return differs("version", &release.version, &manifest.version);
    }
    if manifest.nutrients.planned() != release.nutrients {
        let text =
            |needs: types::Nutrients| format!("{} cpu_milli, {} memory_mb", needs.cpu_milli, needs.memory_mb);
        return differs("nutrients", &text(release.nutrients), &text(manifest.nutrients.planned()));
    }
    Ok(())
}

fn interpreter(
    manifest: &Manifest,
    search: &str,
    confinement: &Confinement,
) -> Result<Option<(PathBuf, Vec<String>)>, Unprepared> {
    let mut words = manifest.interpreter_words();
    let Some(program) = words.next() else { return Ok(None) };
    let rest = words.map(str::to_owned).collect();
    let fits = |path: &PathBuf| is_program(path) && confinement.runs(path);
    let found = if program.contains('/') {
        Some(PathBuf::from(program)).filter(|path| path.is_absolute() && fits(path))
    } else {
        std::env::split_paths(search).map(|folder| folder.join(program)).find(fits)
    };
    match found {
        Some(path) => Ok(Some((path, rest))),
        None => Err(Unprepared::Refused(format!(
            "its interpreter {program:?} is not installed on this node (PATH is {search}); install it, then: mesh restart {}",
            manifest.name
        ))),
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn check(manifest: &Manifest) -> Check {
    let offers = |what| manifest.provides.contains(&what);
    if offers(Provides::Http) || manifest.provides.is_empty() {
        Check::Http(manifest.health.path.clone())
    } else if offers(Provides::H2c) {
        Check::H2c
    } else {
        Check::Tcp
    }
}

const fn name(what: Provides) -> &'static str {
    match what {
        Provides::Http => "http",
        Provides::H2c => "h2c",
        Provides::Tcp => "tcp",
    }
}

const fn kind(workload: Workload) -> &'static str {
    match workload {
        Workload::Service => "service",
        Workload::Worker => "worker",
        Workload::Job => "job",
    }
}

#[cfg(test)]
mod tests;
