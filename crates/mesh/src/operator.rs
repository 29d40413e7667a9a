//! The operator's hand: reads how an app stands, signs what should be, and hands it to the mesh.
//!
//! The key never leaves this process; the mesh gets signed records and knows the public half.

use std::path::Path;

use fabric::{Kind, MeshId, Record, RecordName};
use genome::{Budget, Plan};
use mycelium::api::{BudgetAt, PlanAt, Receipt, RecordAt};
use mycelium::client::{Client, ClientError};
use mycelium::{Paths, identity};
use soul::{KeyStore, SecretKey};
use types::{AppName, Signer as _};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::publisher::now;

/// The key that signs plans and budgets when none is named.
pub const KEY: &str = "operator";
/// The key that says who may sign plans and let nodes in.
const ROOT: &str = "root";

/// The status of a record that something newer has overtaken.
const OVERTAKEN: u16 = 409;

/// Somebody who may say what runs.
pub struct Operator {
    client: Client,
    mesh: MeshId,
    key: SecretKey,
}

/// A plan that was written.
pub struct Written {
    /// Its generation.
    pub generation: u64,
    /// What it says.
    pub plan: Plan,
    /// How far it is safe.
    pub safe: String,
}

impl Operator {
    /// With the key that `key` names (a name or a file), or the operator's own.
    pub fn open(context: &Context, key: Option<&str>) -> Result<Self, Failure> {
        let paths = context.paths()?;
        if let Some(chosen) = context.chosen()? {
            let key = load(&paths, key.unwrap_or(&chosen.operator))?;
            return Ok(Self { client: context.client()?, mesh: chosen.mesh, key });
        }
        let file = identity::load(&paths).map_err(|error| match error {
            identity::IdentityError::Missing(state) => {
                Failure::new(format_args!("no mesh was ever started in {}", state.display()))
                    .code(Code::NotRunning)
                    .hint("start one with `mesh up` or `mesh run`")
            }
            other => Failure::from(other),
        })?;
        let key = load(&paths, key.unwrap_or(KEY))?;
        // In a mesh of many machines the records say whose signature counts, and the mesh knows them.
        if !file.operators.is_empty() && !file.operators.contains(&key.public_key()) {
            return Err(Failure::new(format_args!("{} is no operator of this mesh", key.fingerprint()))
                .code(Code::Refused)
                .hint(format_args!("its operators are listed in {}", paths.mesh_file().display())));
        }
        Ok(Self { client: context.client()?, mesh: file.mesh, key })
    }

    /// With the mesh's root key, for what only the root may say.
    pub fn root(context: &Context, key: Option<&str>) -> Result<Self, Failure> {
        Self::open(context, Some(key.unwrap_or(ROOT))).map_err(|failure| {
            failure
                .hint("the root key may be kept elsewhere: bring it for this, and name its file with --root")
        })
    }

    /// Writes the record that `sign` makes for the next generation of a name, given what the name says now; `None`
    /// when it makes none. When somebody else was faster, it is asked once more.
    pub async fn say(
        &self,
        kind: &Kind,
        name: &RecordName,
        sign: impl Fn(&RecordAt, &Self) -> Result<Option<Record>, Failure>,
    ) -> Result<Option<Receipt>, Failure> {
        let mut again = true;
        loop {
            let at = self.client.record(kind, name).await?;
            let Some(record) = sign(&at, self)? else { return Ok(None) };
            match self.client.submit(record.encode()).await {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(error) if again && overtaken(&error) => again = false,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes back what was said under a name; whether anything was.
    pub async fn unsay(&self, kind: Kind, name: &RecordName) -> Result<Option<Receipt>, Failure> {
        self.say(&kind, name, |at, hand| {
            if at.value.is_none() {
                return Ok(None);
            }
            let (mesh, name) = (hand.mesh, name.clone());
            Ok(Some(Record::remove(mesh, kind.clone(), name, at.next_generation, now(), &hand.key)?))
        })
        .await
    }

    /// The mesh whose records it signs.
    pub const fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// What it signs with.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The mesh it speaks to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Writes the plan that `edit` makes of the current one; `None` when it makes none. When another operator
    /// was faster, `edit` is asked once more.
    pub async fn change_plan(
        &self,
        app: &AppName,
        edit: impl Fn(&PlanAt) -> Result<Option<Plan>, Failure>,
    ) -> Result<Option<Written>, Failure> {
        let mut again = true;
        loop {
            let at = self.client.plan(app).await?;
            let Some(plan) = edit(&at)? else {
                return Ok(None);
            };
            let record = Record::plan(self.mesh, at.next_generation, &plan, &self.key)?;
            match self.client.submit(record.encode()).await {
                Ok(receipt) => {
                    return Ok(Some(Written { generation: receipt.generation, plan, safe: receipt.safe }));
                }
                Err(error) if again && overtaken(&error) => again = false,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes the budget that `edit` makes of the current one; `None` when it makes none.
    pub async fn change_budget(
        &self,
        app: &AppName,
        edit: impl Fn(&BudgetAt) -> Option<Budget>,
    ) -> Result<Option<Budget>, Failure> {
        let mut again = true;
        loop {
            let at = self.client.budget(app).await?;
            let Some(budget) = edit(&at) else {
                return Ok(None);
            };
            let record = Record::budget(self.mesh, at.next_generation, &budget, &self.key)?;
            match self.client.submit(record.encode()).await {
                Ok(_) => return Ok(Some(budget)),
                Err(error) if again && overtaken(&error) => again = false,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes the plan or the budget of an app.
    pub async fn remove(&self, kind: Kind, app: &AppName, generation: u64) -> Result<(), Failure> {
        let name = RecordName::of_app(app);
        let record = Record::remove(self.mesh, kind, name, generation, now(), &self.key)?;
        self.client.submit(record.encode()).await?;
        Ok(())
    }
}

/// The first use in a state folder: a key for this person and an identity for the mesh, both made visibly.
pub fn first_use(context: &Context, paths: &Paths) -> Result<(), Failure> {
    if !matches!(identity::load(paths), Err(identity::IdentityError::Missing(_))) {
        return Ok(());
    }
    paths.claim()?;
    let (key, created) = KeyStore::open(&paths.keys())?.ensure(KEY)?;
    if created {
        context.out.note(format_args!("created operator key {KEY}: {}", key.fingerprint()));
    }
    let (_, created) = identity::ensure(paths, &key.public_key())?;
    if created {
        context.out.note(format_args!("created mesh in {}", paths.state.display()));
    }
    Ok(())
}

/// The plan of an app that must have one.
pub fn existing(app: &AppName, at: &PlanAt) -> Result<Plan, Failure> {
    at.plan.clone().ok_or_else(|| {
        Failure::new(format_args!("no app is called {app}")).hint("`mesh status` lists the apps")
    })
}

/// The key of that name, or in that file.
pub fn load(paths: &Paths, key: &str) -> Result<SecretKey, Failure> {
    if key.contains('/') {
        return Ok(KeyStore::load_file(Path::new(key))?);
    }
    Ok(KeyStore::open(&paths.keys())?.load(key)?)
}

fn overtaken(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status, .. } if status.as_u16() == OVERTAKEN)
}
