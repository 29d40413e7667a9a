//! Plan: what should run of one app, as an operator signed it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, Nutrients, SettingName, Workload};

use crate::label::{validate_constraints, validate_labels};
use crate::reach::{MAX_REACH, Reach};
use crate::{Invalid, Scale, Size};

/// The most replicas one plan may ask for.
const MAX_REPLICAS: u32 = 10_000;
/// The most bytes of environment one plan may carry (names and values together).
const MAX_ENV_BYTES: usize = 32 * 1024;
/// The longest name of a profile.
const MAX_PROFILE: usize = 128;
/// The most secrets, and the most configs, of one plan.
const MAX_SETTINGS: usize = 32;

/// The desired state of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The app this plan is about.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// What a replica runs.
    #[serde(flatten)]
    pub release: Release,
    /// The fewest replicas; a mesh that can hold fewer runs what it can.
    pub min: u32,
    /// The most replicas that demand may raise it to; with 0 the app is stopped, and no request wakes it.
    pub max: u32,
    /// How the number of replicas follows demand, from `min` to `max`; without it there are `min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// How much each replica gets, where that isn't what the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How long green must have been ready before blue is drained, in milliseconds.
    #[serde(default = "default_warmup")]
    pub warmup_ms: u64,
    /// How long open requests of a leaving replica may go on, and then its SIGTERM grace, in milliseconds each.
    #[serde(default = "default_grace")]
    pub grace_ms: u64,
    /// How an update goes on, and when it is given up.
    #[serde(default)]
    pub rollout: Rollout,
    /// What a node's labels must be to run this app: `zone` = `a` or `a,b` asks for one of these values, `gpu!` =
    /// `no` for any but this one, or none at all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
    /// What people and policies say of it, such as `owner`; it changes nothing that runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What ran before, and runs again when this release fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// What one replica runs: a change of any of these replaces replicas blue/green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// The spore, by the SHA-256 of its file.
    pub digest: Digest,
    /// The version its manifest states, for people.
    #[serde(default)]
    pub version: String,
    /// What kind of process it is; the agent refuses a spore whose manifest says otherwise.
    #[serde(default)]
    pub workload: Workload,
    /// What the manifest says one replica needs; the planner counts with it before anybody holds the spore.
    #[serde(default)]
    pub nutrients: Nutrients,
    /// The TCP port, 0 for any free one. A fixed port means at most one replica a host.
    #[serde(default)]
    pub port: u16,
    /// Environment over the manifest's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The profile that confines it, in place of the manifest's; `unconfined` lets it do what its nodes' users may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What it may connect to, besides its node's edge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<Reach>,
    /// Raised to have the same release started anew.
    #[serde(default)]
    pub restart: u64,
    /// The secrets and configs that each replica gets as files.
    #[serde(flatten)]
    pub settings: Settings,
}

/// What replicas get as files, by name: each with the version that it must be at least, so that a newer value
/// replaces replicas as any other change does, and no node starts one with an older value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Files in `/run/secrets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SettingName, u64>,
    /// Files in `/run/config`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<SettingName, u64>,
    /// The signal by which a replica that runs is told that its files are newer ones; without it they come with a new
    /// replica in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate: Option<Signal>,
}

/// A signal that programs take for "read your files again".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

/// The release before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Previous {
    /// The generation of the plan that asked for it.
    pub generation: u64,
    /// What it ran.
    #[serde(flatten)]
    pub release: Release,
}

/// How an update goes on, and when it is given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// So many nodes may observe the release failing before every node falls back to the previous one.
    #[serde(default)]
    pub max_failed: u32,
    /// The first so many slots take the release alone, until each has been ready for the warm-up; if one fails, it
    /// is given up whatever `max_failed` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<u32>,
    /// So many slots change at a time, over the whole mesh, in the order of their numbers; with 0 one does, where no
    /// fixed port keeps it from being ready before its predecessor leaves. All at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<u32>,
}

/// The identity of a release's content: two plans with the same revision run the same processes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Revision(String);

impl Plan {
    /// A plan with defaults for `release`, `replicas` of it.
    #[must_use]
    pub fn new(app_name: AppName, release: Release, replicas: u32) -> Self {
        Self {
            app_name,
            release,
            min: replicas,
            max: replicas,
            scale: None,
            size: None,
            warmup_ms: default_warmup(),
            grace_ms: default_grace(),
            rollout: Rollout::default(),
            constraints: BTreeMap::new(),
            labels: BTreeMap::new(),
            previous: None,
        }
    }

    /// [`Plan::warmup_ms`] as a duration.
    #[must_use]
    pub const fn warmup(&self) -> Duration {
        Duration::from_millis(self.warmup_ms)
    }

    /// [`Plan::grace_ms`] as a duration.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// Whether the numbers can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.min > self.max {
            return Err(Invalid::new("min", format!("{} is more than max ({})", self.min, self.max)));
        }
        if self.max > MAX_REPLICAS {
            return Err(Invalid::new("max", format!("{} is more than {MAX_REPLICAS}", self.max)));
        }
        for (field, millis) in [("warmup_ms", self.warmup_ms), ("grace_ms", self.grace_ms)] {
            if millis > 3_600_000 {
                return Err(Invalid::new(field, "longer than an hour"));
            }
        }
        if let Some(scale) = &self.scale {
            scale.validate(self)?;
        }
        if let Some(size) = self.size {
            size.validate()?;
        }
        validate_constraints(&self.constraints)?;
        validate_labels(&self.labels)?;
        self.rollout.validate(&self.release)?;
        self.release.validate()
    }
}

impl Rollout {
    /// Whether some slots wait for others.
    #[must_use]
    pub const fn is_staged(&self) -> bool {
        self.canary.is_some() || self.max_unavailable.is_some()
    }

    fn validate(&self, release: &Release) -> Result<(), Invalid> {
        if self.canary == Some(0) {
            return Err(Invalid::new("canary", "0 slots would try nothing; leave it out instead"));
        }
        if self.max_unavailable == Some(0) && release.port != 0 {
            let why = "0, but with a fixed port each replica leaves before its successor starts: at least 1";
            return Err(Invalid::new("max_unavailable", why));
        }
        Ok(())
    }
}

impl Release {
    /// The identity of what this release runs; labels for people are not part of it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        let identity = (&self.digest, self.workload, self.port, &self.env, self.restart);
        let mut text = serde_json::to_vec(&identity).expect("plain data always serialises");
        if self.profile.is_some() || !self.reach.is_empty() {
            // Behind the rest, so that a plan without them has the identity that it always had.
            text.extend(serde_json::to_vec(&(&self.profile, &self.reach)).expect("as above"));
        }
        if !self.settings.is_empty() {
            // How they come doesn't matter to what runs.
            let settings = Settings { rotate: None, ..self.settings.clone() };
            text.extend(serde_json::to_vec(&settings).expect("as above"));
        }
        Revision(Digest::of(&text).to_string()[..16].to_owned())
    }

    /// The same for all versions of its secrets and configs: a replica of a release becomes one of another with the same
    /// body when it is given newer files.
    #[must_use]
    pub fn body(&self) -> Revision {
        let mut any = self.clone();
        let Settings { secrets, config, .. } = &mut any.settings;
        secrets.values_mut().chain(config.values_mut()).for_each(|version| *version = 0);
        any.revision()
    }

    fn validate(&self) -> Result<(), Invalid> {
        let bytes: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_ENV_BYTES {
            return Err(Invalid::new("env", format!("{bytes} bytes are more than {MAX_ENV_BYTES}")));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Invalid::new("env", format!("{name:?} can't be an environment variable")));
            }
        }
        if self.reach.len() > MAX_REACH {
            return Err(Invalid::new("reach", format!("more than {MAX_REACH} places")));
        }
        if self.profile.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_PROFILE) {
            return Err(Invalid::new("profile", format!("a name has 1 to {MAX_PROFILE} bytes")));
        }
        if self.workload != Workload::Service && self.port != 0 {
            return Err(Invalid::new("port", "only a service has one"));
        }
        self.settings.validate()?;
        Ok(())
    }
}

impl Settings {
    /// Whether there are no files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.config.is_empty()
    }

    fn validate(&self) -> Result<(), Invalid> {
        for (field, names) in [("secrets", &self.secrets), ("config", &self.config)] {
            if names.len() > MAX_SETTINGS {
                return Err(Invalid::new(field, format!("more than {MAX_SETTINGS}")));
            }
        }
        Ok(())
    }
}

impl Signal {
    /// All there are.
    const ALL: [Self; 3] = [Self::Hup, Self::Usr1, Self::Usr2];

    /// Its name, without `SIG`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.as_str())
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let known = Self::ALL.into_iter().find(|signal| signal.as_str() == name);
        known.ok_or_else(|| format!("{text:?} is none of the signals HUP, USR1 and USR2"))
    }
}

impl Revision {
    /// 16 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn default_warmup() -> u64 {
    2_000
}

const fn default_grace() -> u64 {
    10_000
}
