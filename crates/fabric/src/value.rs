//! A payload, read: strict JSON of the schema of its kind, valid, and about what the envelope names.

mod papers;

use std::sync::Arc;

use genome::{
    Budget, Config, Credit, Demand, Drain, Endpoint, Identity, Invalid, Issuer, Learned, Member, Node,
    Observed, Operator, Plan, Policy, Revoke, RootChange, Secret, Trust,
};
use types::{AppName, MeshId, Namespace, NodeName, ReplicaName, SettingName, json};

use crate::{Key, Kind, Owner, Record, RecordName, Seen};

pub use papers::Membership;
pub(crate) use papers::RootPapers;

/// What a record says.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Plan(Arc<Plan>),
    Budget(Arc<Budget>),
    Endpoint(Arc<Endpoint>),
    Node(Arc<Node>),
    Observed(Arc<Observed>),
    Demand(Arc<Demand>),
    Learned(Arc<Learned>),
    Credit(Arc<Credit>),
    Trust(Arc<Trust>),
    Root(Arc<RootPapers>),
    Operator(Arc<Operator>),
    Issuer(Arc<Issuer>),
    Member(Arc<Membership>),
    Revoke(Arc<Revoke>),
    Drain(Arc<Drain>),
    Policy(Arc<Policy>),
    Secret(Arc<Secret>),
    Config(Arc<Config>),
    Identity(Arc<Identity>),
    /// Of a kind that this version carries without understanding it.
    Unknown,
    /// Nothing any more.
    Removed,
}

/// Reads the payload of `record` as what its key announces; says what is wrong otherwise.
pub(crate) fn read(record: &Record) -> Result<Value, String> {
    let key = record.key();
    if let Some(by_operators) = key.kind.is_operators()
        && by_operators != (key.owner == Owner::Operator)
    {
        return Err(format!("a {} is not written by {}", key.kind, key.owner));
    }
    if key.kind.rules() && (record.expires().is_some() || key.namespace != Namespace::default()) {
        return Err(format!("a {} stands in the default namespace and never ends by itself", key.kind));
    }
    let Some(payload) = record.payload() else {
        check_removal(key)?;
        return Ok(Value::Removed);
    };
    if key.kind.rules() { read_rule(key, payload, record.mesh()) } else { read_other(key, payload) }
}

/// What says who may write.
fn read_rule(key: &Key, payload: &[u8], mesh: MeshId) -> Result<Value, String> {
    match &key.kind {
        Kind::Root => {
            let change: RootChange = parse(payload, RootChange::validate)?;
            named(key, &RecordName::of_root())?;
            Ok(Value::Root(papers::root(change, mesh)?.into()))
        }
        Kind::Operator => {
            let operator: Operator = parse(payload, Operator::validate)?;
            named(key, &RecordName::of_key(&operator.public_key))?;
            Ok(Value::Operator(operator.into()))
        }
        Kind::Issuer => {
            let issuer: Issuer = parse(payload, Issuer::validate)?;
            named(key, &RecordName::of_key(&issuer.public_key))?;
            papers::issuer(&issuer, mesh)?;
            Ok(Value::Issuer(issuer.into()))
        }
        Kind::Revoke => {
            let revoke: Revoke = parse(payload, Revoke::validate)?;
            named(key, &RecordName::of_key(&revoke.public_key))?;
            Ok(Value::Revoke(revoke.into()))
        }
        _ => {
            let member: Member = parse(payload, Member::validate)?;
            owned(key, &member.node_id)?;
            named(key, &RecordName::of_node(&member.node_id))?;
            Ok(Value::Member(papers::member(&member, mesh)?.into()))
        }
    }
}

fn read_other(key: &Key, payload: &[u8]) -> Result<Value, String> {
    match &key.kind {
        Kind::Plan => {
            let plan: Plan = parse(payload, Plan::validate)?;
            named(key, &RecordName::of_app(&plan.app_name))?;
            Ok(Value::Plan(plan.into()))
        }
        Kind::Budget => {
            let budget: Budget = parse(payload, Budget::validate)?;
            named(key, &RecordName::of_app(&budget.app_name))?;
            Ok(Value::Budget(budget.into()))
        }
        Kind::Trust => {
            let trust: Trust = parse(payload, Trust::validate)?;
            named(key, &RecordName::of_key(&trust.public_key))?;
            Ok(Value::Trust(trust.into()))
        }
        Kind::Endpoint => {
            let endpoint: Endpoint = parse(payload, Endpoint::validate)?;
            owned(key, &endpoint.node_id)?;
            let Endpoint { app_name, node_id, replica, .. } = &endpoint;
            named(key, &RecordName::of_endpoint(app_name, node_id, replica))?;
            Ok(Value::Endpoint(endpoint.into()))
        }
        Kind::Node => {
            let node: Node = parse(payload, Node::validate)?;
            owned(key, &node.node_id)?;
            named(key, &RecordName::of_node(&node.node_id))?;
            Ok(Value::Node(node.into()))
        }
        Kind::Observed => read_seen(key, payload, Value::Observed),
        Kind::Demand => read_seen(key, payload, Value::Demand),
        Kind::Learned => read_seen(key, payload, Value::Learned),
        Kind::Credit => read_seen(key, payload, Value::Credit),
        Kind::Drain => {
            let drain: Drain = parse(payload, Drain::validate)?;
            named(key, &RecordName::of_node(&drain.node_id))?;
            Ok(Value::Drain(drain.into()))
        }
        Kind::Policy => {
            let policy: Policy = parse(payload, Policy::validate)?;
            named(key, &RecordName::of_app(&policy.name))?;
            Ok(Value::Policy(policy.into()))
        }
        Kind::Secret => {
            let secret: Secret = parse(payload, Secret::validate)?;
            named(key, &RecordName::of_setting(&secret.name))?;
            Ok(Value::Secret(secret.into()))
        }
        Kind::Config => {
            let config: Config = parse(payload, Config::validate)?;
            named(key, &RecordName::of_setting(&config.name))?;
            Ok(Value::Config(config.into()))
        }
        Kind::Identity => {
            let identity: Identity = parse(payload, Identity::validate)?;
            named(key, &RecordName::of_app(&identity.name))?;
            Ok(Value::Identity(identity.into()))
        }
        _ => json::parse(payload).map(|_| Value::Unknown).map_err(|e| e.to_string()),
    }
}

/// What a node says of an app.
fn read_seen<T: Seen>(key: &Key, payload: &[u8], value: impl Fn(Arc<T>) -> Value) -> Result<Value, String> {
    let seen: T = parse(payload, T::check)?;
    let (app, node) = seen.place();
    owned(key, node)?;
    named(key, &RecordName::of_observed(app, node))?;
    Ok(value(seen.into()))
}

fn parse<T: serde::de::DeserializeOwned>(
    payload: &[u8],
    validate: impl Fn(&T) -> Result<(), Invalid>,
) -> Result<T, String> {
    let value = json::from_slice(payload).map_err(|e| e.to_string())?;
    validate(&value).map_err(|e| e.to_string())?;
    Ok(value)
}

fn named(key: &Key, name: &RecordName) -> Result<(), String> {
    if key.name == *name { Ok(()) } else { Err(format!("its content is about {name}")) }
}

fn owned(key: &Key, node: &NodeName) -> Result<(), String> {
    match &key.owner {
        Owner::Node(owner) if owner == node => Ok(()),
        owner => Err(format!("its content is about node {node}, its owner is {owner}")),
    }
}

/// A removal has no content, so its name alone must show that it could have had one.
fn check_removal(key: &Key) -> Result<(), String> {
    let mut labels = key.name.labels();
    let mut next = || labels.next().unwrap_or_default();
    let node = match &key.owner {
        Owner::Node(node) => Some(node),
        Owner::Operator => None,
    };
    let expected = match (&key.kind, node) {
        (Kind::Plan | Kind::Budget | Kind::Policy | Kind::Identity, _) => {
            AppName::new(next()).ok().map(|app| RecordName::of_app(&app))
        }
        (Kind::Secret | Kind::Config, _) => {
            SettingName::new(next()).ok().map(|name| RecordName::of_setting(&name))
        }
        (Kind::Drain, _) => NodeName::new(next()).ok().map(|node| RecordName::of_node(&node)),
        (Kind::Node, Some(node)) => Some(RecordName::of_node(node)),
        (Kind::Observed | Kind::Demand | Kind::Learned | Kind::Credit, Some(node)) => {
            AppName::new(next()).ok().map(|app| RecordName::of_observed(&app, node))
        }
        (Kind::Endpoint, Some(node)) => {
            let (app, _, replica) = (next(), next(), next());
            AppName::new(app)
                .ok()
                .zip(ReplicaName::new(replica).ok())
                .map(|(app, replica)| RecordName::of_endpoint(&app, node, &replica))
        }
        _ => return Ok(()),
    };
    if expected.as_ref() == Some(&key.name) {
        Ok(())
    } else {
        Err(format!("{:?} can't be the name of a {}", key.name.as_str(), key.kind))
    }
}
