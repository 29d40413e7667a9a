//! The rules of a manifest that types alone can't state: sizes, names, and what goes together.

use std::collections::BTreeSet;
use std::fmt::Display;

use types::Workload;

use super::{Manifest, ManifestError, Needs};
use crate::bounds::{
    MAX_ARGS, MAX_CPU_MILLI, MAX_ENV, MAX_FILES, MAX_IO_WEIGHT, MAX_LOG_MB, MAX_MEMORY_MB, MAX_MILLIS,
    MAX_NAME_BYTES, MAX_OPEN_FILES, MAX_PIDS, MAX_VALUE_BYTES, MIN_OPEN_FILES,
};
use crate::path::{ancestors, component_problem, path_problem};

/// Checks every rule; the first one broken is named with its field.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    identity(manifest)?;
    process(manifest)?;
    resources(manifest)?;
    service(manifest)?;
    files(manifest)
}

fn refused(field: impl Display, problem: impl Display) -> ManifestError {
    ManifestError::Field { field: field.to_string(), problem: problem.to_string() }
}

fn identity(manifest: &Manifest) -> Result<(), ManifestError> {
    let version = &manifest.version;
    let printable = version.bytes().all(|b| b.is_ascii_graphic());
    if version.is_empty() || version.len() > MAX_NAME_BYTES || !printable {
        return Err(refused("version", "must be 1 to 128 printable ASCII characters without spaces"));
    }
    if let Some(problem) = component_problem(&manifest.command) {
        return Err(refused(
            "command",
            format_args!("{:?} is not a plain file name: {problem}", manifest.command),
        ));
    }
    if matches!(manifest.command.as_str(), "manifest.json" | "files") {
        return Err(refused("command", format_args!("{:?} is taken in the run folder", manifest.command)));
    }
    Ok(())
}

fn process(manifest: &Manifest) -> Result<(), ManifestError> {
    at_most("args", manifest.args.len(), MAX_ARGS)?;
    for (at, arg) in manifest.args.iter().enumerate() {
        value(format_args!("args[{at}]"), arg)?;
    }
    at_most("env", manifest.env.len(), MAX_ENV)?;
    for (name, text) in &manifest.env {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !first || !rest || name.len() > MAX_NAME_BYTES {
            return Err(refused(
                "env",
                format_args!("{name:?} is not a name: letters, digits and '_', no digit first"),
            ));
        }
        value(format_args!("env.{name}"), text)?;
    }
    if let Some(words) = &manifest.interpreter {
        let printable = words.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if !printable || words.len() > MAX_VALUE_BYTES || words.split(' ').any(str::is_empty) {
            return Err(refused("interpreter", "must be printable ASCII words with one space between"));
        }
    }
    Ok(())
}

fn resources(manifest: &Manifest) -> Result<(), ManifestError> {
    within("nutrients.cpu_milli", manifest.nutrients.cpu_milli, MAX_CPU_MILLI)?;
    within("nutrients.memory_mb", manifest.nutrients.memory_mb, MAX_MEMORY_MB)?;
    let Needs { pids, open_files, io_weight, log_mb, .. } = manifest.nutrients;
    let bounds = [
        ("pids", pids, 1, MAX_PIDS),
        ("open_files", open_files, MIN_OPEN_FILES, MAX_OPEN_FILES),
        ("io_weight", io_weight.map(u32::from), 1, MAX_IO_WEIGHT),
        ("log_mb", log_mb, 1, MAX_LOG_MB),
    ];
    for (field, number, least, most) in bounds {
        if let Some(number) = number.filter(|number| !(least..=most).contains(number)) {
            return Err(refused(
                format_args!("nutrients.{field}"),
                format_args!("{number} is not between {least} and {most}"),
            ));
        }
    }
    within("slo.p99_budget_ms", manifest.slo.p99_budget_ms, MAX_MILLIS)?;
    if let Some((field, problem)) = manifest.scale.as_ref().and_then(types::Metric::problem) {
        return Err(refused(format_args!("scale.{field}"), problem));
    }
    within("health.timeout_ms", manifest.health.timeout_ms, MAX_MILLIS)?;
    let profile = &manifest.security.lsm_profile;
    let plain = profile.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !plain || profile.is_empty() || profile.starts_with('.') || profile.len() > MAX_NAME_BYTES {
        return Err(refused("security.lsm_profile", "must be a name of letters, digits, '-', '_' and '.'"));
    }
    Ok(())
}

fn service(manifest: &Manifest) -> Result<(), ManifestError> {
    let distinct: BTreeSet<_> = manifest.provides.iter().collect();
    if distinct.len() != manifest.provides.len() {
        return Err(refused("provides", "the same protocol stands twice"));
    }
    if manifest.workload != Workload::Service && !manifest.provides.is_empty() {
        return Err(refused("provides", "only a service has a port to offer anything on"));
    }
    let path = &manifest.health.path;
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !path.starts_with('/') || !plain || path.len() > MAX_VALUE_BYTES {
        return Err(refused(
            "health.path",
            "must begin with '/' and be printable ASCII without spaces or '#'",
        ));
    }
    Ok(())
}

fn files(manifest: &Manifest) -> Result<(), ManifestError> {
    at_most("files", manifest.files.len(), MAX_FILES)?;
    for path in manifest.files.keys() {
        if let Some(problem) = path_problem(path) {
            return Err(refused("files", format_args!("{path:?} is not a safe path: {problem}")));
        }
        if let Some(ancestor) = ancestors(path).find(|ancestor| manifest.files.contains_key(*ancestor)) {
            return Err(refused("files", format_args!("{ancestor:?} is both a file and a folder")));
        }
    }
    Ok(())
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), ManifestError> {
    if count > most {
        Err(refused(field, format_args!("{count} entries are more than {most}")))
    } else {
        Ok(())
    }
}

fn within(field: &str, number: u64, most: u64) -> Result<(), ManifestError> {
    if (1..=most).contains(&number) {
        Ok(())
    } else {
        Err(refused(field, format_args!("{number} is not between 1 and {most}")))
    }
}

fn value(field: impl Display, text: &str) -> Result<(), ManifestError> {
    if text.contains('\0') {
        return Err(refused(field, "holds a NUL byte"));
    }
    if text.len() > MAX_VALUE_BYTES {
        return Err(refused(field, format_args!("{} bytes are more than {MAX_VALUE_BYTES}", text.len())));
    }
    Ok(())
}
