//! The operations by the names that the specification gives them, for operators' records and look-ups.

use std::sync::Arc;

use genome::{Budget, Endpoint, Plan};
use types::{AppName, Namespace, Timestamp};

use crate::{Fabric, Key, Kind, Owner, Receipt, Record, RecordName, Refused};

impl Fabric {
    /// Takes an operator's plan (see [`Record::plan`]): every subscriber learns it.
    pub fn publish_plan(&self, plan: Record, now: Timestamp) -> Result<Receipt, Refused> {
        self.submit(of_kind(plan, &Kind::Plan, true, "plan")?, now)
    }

    /// Takes the removal of a plan (see [`Record::remove`]): the app stops.
    pub fn remove_plan(&self, removal: Record, now: Timestamp) -> Result<Receipt, Refused> {
        self.submit(of_kind(removal, &Kind::Plan, false, "removal of a plan")?, now)
    }

    /// Takes an operator's budget (see [`Record::budget`]).
    pub fn set_budget(&self, budget: Record, now: Timestamp) -> Result<Receipt, Refused> {
        self.submit(of_kind(budget, &Kind::Budget, true, "budget")?, now)
    }

    /// Takes the removal of a budget (see [`Record::remove`]): the plan's `max` alone caps.
    pub fn remove_budget(&self, removal: Record, now: Timestamp) -> Result<Receipt, Refused> {
        self.submit(of_kind(removal, &Kind::Budget, false, "removal of a budget")?, now)
    }

    /// The plan of an app.
    #[must_use]
    pub fn get_plan(&self, app: &AppName) -> Option<Arc<Plan>> {
        self.view().plans.get(app).map(|entry| Arc::clone(&entry.value))
    }

    /// The budget of an app; without one the plan's `max` alone caps.
    #[must_use]
    pub fn get_budget(&self, app: &AppName) -> Option<Arc<Budget>> {
        self.view().budgets.get(app).map(|entry| Arc::clone(&entry.value))
    }

    /// The endpoints of an app, in the order of node and replica, whatever their state.
    #[must_use]
    pub fn endpoints(&self, app: &AppName) -> Vec<Arc<Endpoint>> {
        self.view().endpoints_of(app).cloned().collect()
    }

    /// [`Fabric::next_generation`] of an operator's record in the default namespace.
    #[must_use]
    pub fn next_generation_of(&self, kind: Kind, name: RecordName) -> u64 {
        let namespace = Namespace::default();
        self.next_generation(&Key { kind, namespace, owner: Owner::Operator, name })
    }
}

fn of_kind(record: Record, kind: &Kind, says: bool, expected: &'static str) -> Result<Record, Refused> {
    if record.key().kind == *kind && record.payload().is_some() == says {
        Ok(record)
    } else {
        Err(Refused::OtherKind { key: record.key().to_string(), expected })
    }
}
