//! View: everything that holds in one namespace at one moment, as a snapshot that costs nothing to keep.
//!
//! Tables are shared until one changes under a reader; then that table alone is copied, by reference. The
//! endpoints, which change most, are split by app, so that a change copies the endpoints of one app.

use std::collections::BTreeMap;
use std::sync::Arc;

use genome::{
    Budget, Config, Credit, Demand, Drain, Endpoint, Identity, Issuer, Learned, Node, Observed, Operator,
    Plan, Policy, Revoke, Secret, Trust,
};
use types::{AppName, Digest, NodeName, PublicKey, ReplicaName, SettingName};

use crate::value::Value;
use crate::verified::Verified;
use crate::{Membership, RecordName};

/// What an operator said, and who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The generation of the record.
    pub generation: u64,
    /// The operator's key.
    pub writer: PublicKey,
    /// The record's id.
    pub id: Digest,
    /// What it says.
    pub value: Arc<T>,
}

/// The endpoints of one app.
type OfApp = BTreeMap<(NodeName, ReplicaName), Arc<Endpoint>>;

/// What holds at one moment. Cloning it is cheap.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Rises with every change of the store.
    pub version: u64,
    /// What should run.
    pub plans: Arc<BTreeMap<AppName, Entry<Plan>>>,
    /// What apps may hold.
    pub budgets: Arc<BTreeMap<AppName, Entry<Budget>>>,
    /// The nodes, as they describe themselves.
    pub nodes: Arc<BTreeMap<NodeName, Arc<Node>>>,
    /// What nodes saw of apps.
    pub observed: Arc<BTreeMap<(AppName, NodeName), Arc<Observed>>>,
    /// How much nodes ask for of apps.
    pub demand: Arc<BTreeMap<(AppName, NodeName), Arc<Demand>>>,
    /// What nodes saw that replicas of apps need.
    pub learned: Arc<BTreeMap<(AppName, NodeName), Arc<Learned>>>,
    /// Nodes' rows of apps' credits.
    pub credits: Arc<BTreeMap<(AppName, NodeName), Arc<Credit>>>,
    /// The publishers whose spores may run, by the name of their record.
    pub trust: Arc<BTreeMap<RecordName, Entry<Trust>>>,
    /// The operators that the root made, the removed among them.
    pub operators: Arc<BTreeMap<PublicKey, Entry<Operator>>>,
    /// The nodes that may let others in, the revoked among them.
    pub issuers: Arc<BTreeMap<PublicKey, Entry<Issuer>>>,
    /// The nodes that were let in, whether they are there or not.
    pub members: Arc<BTreeMap<NodeName, Arc<Membership>>>,
    /// The keys of nodes that are out for good.
    pub revoked: Arc<BTreeMap<PublicKey, Entry<Revoke>>>,
    /// The nodes that get no new work.
    pub drains: Arc<BTreeMap<NodeName, Entry<Drain>>>,
    /// The rules over what may run, by name.
    pub policies: Arc<BTreeMap<AppName, Entry<Policy>>>,
    /// What replicas get as files that only they may read.
    pub secrets: Arc<BTreeMap<SettingName, Entry<Secret>>>,
    /// What replicas get as files that are no secret.
    pub configs: Arc<BTreeMap<SettingName, Entry<Config>>>,
    /// Who may vouch for publishers' keys, by what they are called here.
    pub identities: Arc<BTreeMap<AppName, Entry<Identity>>>,
    endpoints: Arc<BTreeMap<AppName, Arc<OfApp>>>,
}

impl View {
    /// The endpoints of every app, in the order of app, node and replica.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values().flat_map(|of_app| of_app.values())
    }

    /// The endpoints of one app, in the order of node and replica.
    pub fn endpoints_of(&self, app: &AppName) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.get(app).into_iter().flat_map(|of_app| of_app.values())
    }

    /// One endpoint.
    #[must_use]
    pub fn endpoint(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(app)?.get(&(node.clone(), replica.clone()))
    }

    /// Whether spores of this publisher may run anywhere in the mesh.
    #[must_use]
    pub fn trusts(&self, publisher: &PublicKey) -> bool {
        self.trust.contains_key(&RecordName::of_key(publisher))
    }

    /// What nodes ask for of one app, in their order.
    pub fn demand_of(&self, app: &AppName) -> impl Iterator<Item = &Arc<Demand>> {
        let least = NodeName::new("0").expect("a name");
        let range = self.demand.range((app.clone(), least)..);
        range.take_while(move |((of, _), _)| of == app).map(|(_, demand)| demand)
    }

    /// What nodes have learned of one app, in their order.
    pub fn learned_of(&self, app: &AppName) -> impl Iterator<Item = &Arc<Learned>> {
        let least = NodeName::new("0").expect("a name");
        let range = self.learned.range((app.clone(), least)..);
        range.take_while(move |((of, _), _)| of == app).map(|(_, learned)| learned)
    }

    /// Nodes' rows of one app's credits, in their order.
    pub fn credits_of(&self, app: &AppName) -> impl Iterator<Item = &Arc<Credit>> {
        let least = NodeName::new("0").expect("a name");
        let range = self.credits.range((app.clone(), least)..);
        range.take_while(move |((of, _), _)| of == app).map(|(_, credit)| credit)
    }

    /// Shows `new`, which took the place of `old` under the same key. `None` is a place that is empty.
    pub(crate) fn replace(&mut self, old: Option<&Verified>, new: Option<&Verified>) {
        if let Some(old) = old {
            self.hide(old);
        }
        if let Some(new) = new {
            self.show(new);
        }
    }

    fn hide(&mut self, old: &Verified) {
        match old.value() {
            Value::Plan(plan) => drop(Arc::make_mut(&mut self.plans).remove(&plan.app_name)),
            Value::Budget(budget) => drop(Arc::make_mut(&mut self.budgets).remove(&budget.app_name)),
            Value::Node(node) => drop(Arc::make_mut(&mut self.nodes).remove(&node.node_id)),
            Value::Trust(_) => drop(Arc::make_mut(&mut self.trust).remove(&old.record().key().name)),
            Value::Observed(seen) => {
                let place = (seen.app_name.clone(), seen.node_id.clone());
                Arc::make_mut(&mut self.observed).remove(&place);
            }
            Value::Demand(said) => {
                let place = (said.app_name.clone(), said.node_id.clone());
                Arc::make_mut(&mut self.demand).remove(&place);
            }
            Value::Learned(of) => {
                let place = (of.app_name.clone(), of.node_id.clone());
                Arc::make_mut(&mut self.learned).remove(&place);
            }
            Value::Credit(row) => {
                let place = (row.app_name.clone(), row.node_id.clone());
                Arc::make_mut(&mut self.credits).remove(&place);
            }
            Value::Endpoint(endpoint) => {
                let apps = Arc::make_mut(&mut self.endpoints);
                if let Some(of_app) = apps.get_mut(&endpoint.app_name) {
                    let place = (endpoint.node_id.clone(), endpoint.replica.clone());
                    Arc::make_mut(of_app).remove(&place);
                    if of_app.is_empty() {
                        apps.remove(&endpoint.app_name);
                    }
                }
            }
            Value::Operator(operator) => {
                Arc::make_mut(&mut self.operators).remove(&operator.public_key);
            }
            Value::Issuer(issuer) => drop(Arc::make_mut(&mut self.issuers).remove(&issuer.public_key)),
            Value::Member(of) => drop(Arc::make_mut(&mut self.members).remove(&of.member.name)),
            Value::Revoke(revoke) => drop(Arc::make_mut(&mut self.revoked).remove(&revoke.public_key)),
            Value::Drain(drain) => drop(Arc::make_mut(&mut self.drains).remove(&drain.node_id)),
            Value::Policy(policy) => drop(Arc::make_mut(&mut self.policies).remove(&policy.name)),
            Value::Secret(secret) => drop(Arc::make_mut(&mut self.secrets).remove(&secret.name)),
            Value::Config(config) => drop(Arc::make_mut(&mut self.configs).remove(&config.name)),
            Value::Identity(identity) => drop(Arc::make_mut(&mut self.identities).remove(&identity.name)),
            Value::Root(_) | Value::Unknown | Value::Removed => {}
        }
    }

    fn show(&mut self, new: &Verified) {
        match new.value() {
            Value::Plan(plan) => {
                Arc::make_mut(&mut self.plans).insert(plan.app_name.clone(), entry(new, plan));
            }
            Value::Budget(budget) => {
                Arc::make_mut(&mut self.budgets).insert(budget.app_name.clone(), entry(new, budget));
            }
            Value::Trust(trust) => {
                Arc::make_mut(&mut self.trust).insert(new.record().key().name.clone(), entry(new, trust));
            }
            Value::Node(node) => {
                Arc::make_mut(&mut self.nodes).insert(node.node_id.clone(), node.clone());
            }
            Value::Observed(seen) => {
                let place = (seen.app_name.clone(), seen.node_id.clone());
                Arc::make_mut(&mut self.observed).insert(place, seen.clone());
            }
            Value::Demand(said) => {
                let place = (said.app_name.clone(), said.node_id.clone());
                Arc::make_mut(&mut self.demand).insert(place, said.clone());
            }
            Value::Learned(of) => {
                let place = (of.app_name.clone(), of.node_id.clone());
                Arc::make_mut(&mut self.learned).insert(place, of.clone());
            }
            Value::Credit(row) => {
                let place = (row.app_name.clone(), row.node_id.clone());
                Arc::make_mut(&mut self.credits).insert(place, row.clone());
            }
            Value::Endpoint(endpoint) => {
                let of_app = Arc::make_mut(&mut self.endpoints).entry(endpoint.app_name.clone()).or_default();
                let place = (endpoint.node_id.clone(), endpoint.replica.clone());
                Arc::make_mut(of_app).insert(place, endpoint.clone());
            }
            Value::Operator(operator) => {
                Arc::make_mut(&mut self.operators).insert(operator.public_key, entry(new, operator));
            }
            Value::Issuer(issuer) => {
                Arc::make_mut(&mut self.issuers).insert(issuer.public_key, entry(new, issuer));
            }
            Value::Member(of) => {
                Arc::make_mut(&mut self.members).insert(of.member.name.clone(), of.clone());
            }
            Value::Revoke(revoke) => {
                Arc::make_mut(&mut self.revoked).insert(revoke.public_key, entry(new, revoke));
            }
            Value::Drain(drain) => {
                Arc::make_mut(&mut self.drains).insert(drain.node_id.clone(), entry(new, drain));
            }
            Value::Policy(policy) => {
                Arc::make_mut(&mut self.policies).insert(policy.name.clone(), entry(new, policy));
            }
            Value::Secret(secret) => {
                Arc::make_mut(&mut self.secrets).insert(secret.name.clone(), entry(new, secret));
            }
            Value::Config(config) => {
                Arc::make_mut(&mut self.configs).insert(config.name.clone(), entry(new, config));
            }
            Value::Identity(identity) => {
                Arc::make_mut(&mut self.identities).insert(identity.name.clone(), entry(new, identity));
            }
            Value::Root(_) | Value::Unknown | Value::Removed => {}
        }
    }
}

fn entry<T>(of: &Verified, value: &Arc<T>) -> Entry<T> {
    let record = of.record();
    Entry {
        generation: record.order().major,
        writer: record.writer(),
        id: record.id(),
        value: Arc::clone(value),
    }
}
