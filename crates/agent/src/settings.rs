//! Settings: the secrets and configs that a plan names, opened for one launch.
//!
//! All of them or none: what is missing, or can't be opened here, is a reason not to start. A value is in memory
//! only, wiped when the launch has it, and shown by nothing: [`Bound`] prints its name and its length.

use std::fmt;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use cortex::Assignment;
use fabric::View;
use genome::Settings;
use rustix::fs::{MemfdFlags, SealFlags};
use soul::{Custodian, UnsealError};
use types::{AppName, MeshId, SettingName};
use zeroize::Zeroizing;

use crate::core::Unprepared;

/// The most bytes that one replica gets.
const MAX_TOTAL: usize = 1024 * 1024;

/// One file of a replica.
pub(crate) struct Bound {
    /// Its path under `/run`: `secrets/db-password`.
    pub path: String,
    /// What it holds.
    pub content: Zeroizing<Vec<u8>>,
}

/// Where values come from.
pub(crate) struct Opener {
    pub mesh: MeshId,
    pub view: Arc<View>,
    /// Who may open shares here, in the order in which they are asked.
    pub custodians: Vec<Arc<dyn Custodian>>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.content.len())
    }
}

impl Bound {
    /// As a file in memory that nobody can change any more, for the keeper to put into the replica's room.
    pub(crate) fn into_file(self) -> std::io::Result<membrane::Bound> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("mesh-setting", flags)?);
        file.write_all(&self.content)?;
        file.rewind()?;
        rustix::fs::fcntl_add_seals(
            &file,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL,
        )?;
        Ok(membrane::Bound { name: self.path, content: file.into() })
    }
}

impl Opener {
    /// Everything that the plan names, and the versions of it.
    pub(crate) fn open(&self, wanted: &Assignment) -> Result<(Vec<Bound>, Settings), Unprepared> {
        let (mut files, mut versions) = (Vec::new(), Settings::default());
        for (name, least) in &wanted.release.settings.config {
            let (version, content) = self.config(&wanted.app, name, *least)?;
            files.push(Bound { path: format!("config/{name}"), content });
            versions.config.insert(name.clone(), version);
        }
        for (name, least) in &wanted.release.settings.secrets {
            let (version, content) = self.secret(&wanted.app, name, *least)?;
            files.push(Bound { path: format!("secrets/{name}"), content });
            versions.secrets.insert(name.clone(), version);
        }
        let total: usize = files.iter().map(|file| file.content.len()).sum();
        if total > MAX_TOTAL {
            return Err(Unprepared::Refused(format!(
                "its secrets and configs are {total} bytes, more than the {MAX_TOTAL} that a replica may get"
            )));
        }
        Ok((files, versions))
    }

    fn config(
        &self,
        app: &AppName,
        name: &SettingName,
        least: u64,
    ) -> Result<(u64, Zeroizing<Vec<u8>>), Unprepared> {
        let Some(config) = self.view.configs.get(name).map(|entry| &entry.value) else {
            return Err(missing("config", name, app));
        };
        usable("config", (name, config.version), (app, config.is_for(app)), least)?;
        Ok((config.version, Zeroizing::new(config.text.clone().into_bytes())))
    }

    fn secret(
        &self,
        app: &AppName,
        name: &SettingName,
        least: u64,
    ) -> Result<(u64, Zeroizing<Vec<u8>>), Unprepared> {
        let Some(secret) = self.view.secrets.get(name).map(|entry| &entry.value) else {
            return Err(missing("secret", name, app));
        };
        usable("secret", (name, secret.version), (app, secret.is_for(app)), least)?;
        let custodians: Vec<&dyn Custodian> = self.custodians.iter().map(|custodian| &**custodian).collect();
        match soul::unseal(self.mesh, secret, &custodians) {
            Ok(content) => Ok((secret.version, content)),
            Err(UnsealError::NoShare) => Err(Unprepared::Refused(format!(
                "the secret {name} is not sealed to this node; an operator seals it anew with: mesh secret reseal {name}"
            ))),
            Err(UnsealError::Altered) => Err(Unprepared::Refused(format!(
                "the secret {name} does not open here, it was altered or moved; an operator sets it anew with: mesh secret set {name}"
            ))),
            Err(UnsealError::Service(error)) => {
                Err(Unprepared::Failed(format!("failed to open the secret {name}: {error}")))
            }
        }
    }
}

fn missing(what: &str, name: &SettingName, app: &AppName) -> Unprepared {
    Unprepared::Refused(format!(
        "the plan names the {what} {name}, which nobody has set: mesh {what} set {name}, or: mesh deploy … --drop-{what} {name} ({app})"
    ))
}

/// Whether the app may have what is here, and whether that is new enough.
fn usable(
    what: &str,
    (name, version): (&SettingName, u64),
    (app, may): (&AppName, bool),
    least: u64,
) -> Result<(), Unprepared> {
    if !may {
        return Err(Unprepared::Refused(format!(
            "the {what} {name} is not for {app}; an operator adds it with: mesh {what} set {name} --app {app} (and its other apps)"
        )));
    }
    if version < least {
        // The plan came before what it names.
        return Err(Unprepared::Missing(format!(
            "the plan needs version {least} of the {what} {name}, and {version} is known here"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
