//! `mesh secret`: values for replicas that only the nodes that may run them can open.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Subcommand;
use fabric::{Kind, Record, RecordName};
use genome::Secret;
use mycelium::Vault;
use mycelium::api::{RecordAt, SecretInfo, SettingsAt};
use serde_json::json;
use soul::{Custodian, KeyService, Label, MAX_SECRET, UnsealError};
use types::{PublicKey, SettingName, Signer as _};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::process;
use crate::sealing::{self, Standing};
use crate::setting::{self, Given, Removal, What};
use crate::table::Table;

/// Keep values for replicas that only the nodes that may run them can open.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a secret from a file or standard input; replicas that read it are replaced one by one, or told by a
    /// signal where their plan says so
    Set {
        #[command(flatten)]
        set: Given,
        /// Have the Vault that vault.json names keep its key, instead of sealing it to nodes
        #[arg(long)]
        vault: bool,
    },
    /// List the secrets, and to how many nodes each is sealed; never what they are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal secrets anew, to the nodes that may run their apps now and to the operators there are now
    Reseal {
        /// Which [default: all that need it]
        names: Vec<SettingName>,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
    /// Remove a secret
    Rm(Removal),
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    process::no_core();
    match args.action {
        Action::Set { set, vault } => change(context, &set, vault)?,
        Action::List { json } => list(context, json)?,
        Action::Reseal { names, operator } => reseal(context, &names, operator.as_deref())?,
        Action::Rm(removal) => removal.run(context, What::Secret)?,
    }
    Ok(Code::Ok)
}

fn change(context: &Context, set: &Given, vault: bool) -> Result<(), Failure> {
    let (name, value) = set.read(What::Secret, MAX_SECRET)?;
    let keepers = Keepers::open(context)?;
    setting::note_line_end(context, &value);
    let operator = Operator::open(context, set.operator.as_deref())?;
    context.block_on(async {
        let at = operator.client().settings().await?;
        let version = std::cell::Cell::new(0);
        let said = operator
            .say(&Kind::Secret, &RecordName::of_setting(&name), |record, hand| {
                let before = present(record)?;
                let label = Label {
                    name: name.clone(),
                    // No generation comes twice, even after a removal.
                    version: record.next_generation,
                    app_names: set.apps(before.as_ref().map(|secret| &secret.app_names)),
                };
                version.set(label.version);
                let vault = vault || before.is_some_and(|secret| !secret.held.is_empty());
                keepers.sealed((hand, &at), &label, &value, (record.next_generation, vault))
            })
            .await?;
        let safe = said.map(|receipt| receipt.safe).unwrap_or_default();
        let now = operator.client().settings().await?;
        context.out.note(format_args!(
            "the secret {name} is version {} ({safe}), {}",
            version.get(),
            described(&now, &name)
        ));
        if !set.no_restart {
            setting::roll_out(context, &operator, (What::Secret, &name, version.get()), &at).await?;
        }
        Ok(())
    })
}

/// Who holds keys that open secrets, besides nodes and operators.
struct Keepers {
    vault: Option<Vault>,
    file: PathBuf,
}

impl Keepers {
    fn open(context: &Context) -> Result<Self, Failure> {
        let paths = context.paths()?;
        Ok(Self { vault: Vault::open(&paths)?, file: paths.vault_file() })
    }

    fn custodians<'a>(&'a self, hand: &'a Operator) -> Vec<&'a dyn Custodian> {
        let own: &dyn Custodian = hand.key();
        [own].into_iter().chain(self.vault.as_ref().map(|vault| -> &dyn Custodian { vault })).collect()
    }

    /// The record of a value, sealed to whom it is for.
    fn sealed(
        &self,
        (hand, at): (&Operator, &SettingsAt),
        label: &Label,
        value: &[u8],
        (generation, by_vault): (u64, bool),
    ) -> Result<Option<Record>, Failure> {
        let mut keys: BTreeSet<PublicKey> = at.operators.clone();
        keys.insert(hand.key().public_key());
        let mut services: Vec<&dyn KeyService> = Vec::new();
        if by_vault {
            services.push(self.vault.as_ref().ok_or_else(|| {
                Failure::new(format_args!("no Vault is known here that could keep the key of {}", label.name))
                    .hint(format_args!(
                        "write {} first; docs/secrets.md says what stands in it",
                        self.file.display()
                    ))
            })?);
        } else {
            keys.extend(sealing::nodes(at, &label.name, &label.app_names).into_keys());
        }
        let secret = soul::seal(hand.mesh(), label, value, &keys, &services)
            .map_err(|error| Failure::new(format_args!("failed to {error}")))?;
        let record = Record::secret(hand.mesh(), generation, &secret, hand.key());
        Ok(Some(record.map_err(|error| too_large(&error, &label.name, keys.len()))?))
    }
}

fn too_large(error: &fabric::DraftError, name: &SettingName, shares: usize) -> Failure {
    Failure::new(format_args!("failed to {error}")).hint(format_args!(
        "a record holds 64 KiB: the secret {name} and {shares} shares don't fit; constrain its apps to fewer nodes, \
         or set a shorter value"
    ))
}

fn present(record: &RecordAt) -> Result<Option<Secret>, Failure> {
    let Some(value) = record.value.clone() else { return Ok(None) };
    serde_json::from_value(value)
        .map(Some)
        .map_err(|e| Failure::new(format_args!("failed to read the secret as the mesh has it: {e}")))
}

fn described(at: &SettingsAt, name: &SettingName) -> String {
    let info = at.secrets.iter().find(|secret| secret.name == *name);
    let standing = info.map(|info| (Standing::of(at, info), info));
    match standing {
        Some((standing, _)) if standing.nodes == 0 => {
            format!("and no app names it yet: mesh deploy … --secret {name}")
        }
        Some((standing, info)) => format!("sealed to {}", standing.describe(&info.held)),
        None => "and gone again".to_owned(),
    }
}

fn list(context: &Context, as_json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let at = context.block_on(async { Ok(client.settings().await?) })?;
    let all: Vec<(&SecretInfo, Standing)> =
        at.secrets.iter().map(|secret| (secret, Standing::of(&at, secret))).collect();
    if as_json {
        let rows: Vec<_> = all
            .iter()
            .map(|(secret, standing)| {
                json!({
                    "name": secret.name, "version": secret.version, "apps": secret.app_names,
                    "usedBy": setting::users(What::Secret, &secret.name, &at), "nodes": standing.nodes,
                    "lacking": standing.lacking, "held": secret.held, "current": standing.is_current(),
                })
            })
            .collect();
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["NAME", "VERSION", "FOR", "USED BY", "SEALED TO"]);
    for (secret, standing) in &all {
        let apps: Vec<&str> = secret.app_names.iter().map(types::AppName::as_str).collect();
        let users: Vec<&str> =
            setting::users(What::Secret, &secret.name, &at).into_iter().map(types::AppName::as_str).collect();
        table.row([
            secret.name.to_string(),
            secret.version.to_string(),
            if apps.is_empty() { "any app".to_owned() } else { apps.join(" ") },
            users.join(" "),
            standing.describe(&secret.held),
        ]);
    }
    if table.is_empty() {
        context.out.note("there is no secret yet; `mesh secret set NAME` makes one");
        return Ok(());
    }
    context.out.line(table.render())?;
    for (secret, standing) in all.iter().filter(|(_, standing)| !standing.is_current()) {
        let lacking: Vec<&str> = standing.lacking.iter().map(types::NodeName::as_str).collect();
        let why = if !lacking.is_empty() {
            format!("{} can't open {}", lacking.join(", "), secret.name)
        } else if standing.operators {
            format!("an operator can't open {}", secret.name)
        } else {
            format!("{} is sealed to somebody who needs it no more", secret.name)
        };
        context.out.note(format_args!("{why}; run: mesh secret reseal {}", secret.name));
    }
    Ok(())
}

fn reseal(context: &Context, names: &[SettingName], key: Option<&str>) -> Result<(), Failure> {
    let operator = Operator::open(context, key)?;
    let keepers = Keepers::open(context)?;
    context.block_on(async {
        let at = operator.client().settings().await?;
        if let Some(name) = names.iter().find(|name| !at.secrets.iter().any(|secret| secret.name == **name)) {
            return Err(setting::no_such(What::Secret, name));
        }
        let asked = |secret: &&SecretInfo| names.is_empty() || names.contains(&secret.name);
        let mut all_current = true;
        for secret in at.secrets.iter().filter(asked) {
            if Standing::of(&at, secret).is_current() {
                continue;
            }
            all_current = false;
            keepers.again(&operator, &at, &secret.name).await?;
            let now = operator.client().settings().await?;
            context.out.note(format_args!("{}: {}", secret.name, described(&now, &secret.name)));
        }
        if all_current {
            context.out.note("nothing to do: whoever may need them can open them");
        }
        Ok(())
    })
}

impl Keepers {
    /// Seals a secret anew, to whom it is for as `at` says.
    async fn again(&self, operator: &Operator, at: &SettingsAt, name: &SettingName) -> Result<(), Failure> {
        operator
            .say(&Kind::Secret, &RecordName::of_setting(name), |record, hand| {
                let Some(secret) = present(record)? else { return Ok(None) };
                let value = soul::unseal(hand.mesh(), &secret, &self.custodians(hand))
                    .map_err(|error| unopened(&error, name, hand))?;
                let Secret { name, version, app_names, .. } = secret;
                let label = Label { name, version, app_names };
                let next = (record.next_generation, !secret.held.is_empty());
                self.sealed((hand, at), &label, &value, next)
            })
            .await?;
        Ok(())
    }
}

fn unopened(error: &UnsealError, name: &SettingName, hand: &Operator) -> Failure {
    let failure = Failure::new(format_args!("failed to open the secret {name}: {error}")).code(Code::Refused);
    match error {
        UnsealError::NoShare => failure.hint(format_args!(
            "{} is no recipient: an operator who is seals it anew, or set it anew: mesh secret set {name}",
            hand.key().fingerprint()
        )),
        UnsealError::Altered => failure.hint(format_args!("set it anew: mesh secret set {name}")),
        UnsealError::Service(_) => failure,
    }
}

/// Sees to it that the nodes which may run an app, as `at` foresees it, can open these secrets; and says in which
/// versions they are there.
pub async fn ready(
    context: &Context,
    operator: &Operator,
    at: &SettingsAt,
    names: &BTreeSet<SettingName>,
) -> Result<(), Failure> {
    for name in names {
        let Some(secret) = at.secrets.iter().find(|secret| secret.name == *name) else {
            return Err(setting::no_such(What::Secret, name));
        };
        if !Standing::of(at, secret).lacking.is_empty() {
            Keepers::open(context)?.again(operator, at, name).await?;
            context.out.note(format_args!("sealed the secret {name} anew, to the nodes that may run it now"));
        }
    }
    Ok(())
}
