//! The JSON Schemas (draft 2020-12) of every kind, as they are committed under `schemas/`.

use schemars::{Schema, schema_for};

use crate::{
    Budget, Config, Credit, Demand, Drain, Endpoint, Identity, Issuer, Learned, Member, Node, Observed,
    Operator, Plan, Policy, Revoke, RootChange, Secret, Trust,
};

/// Every kind's name and schema.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("plan", schema_for!(Plan)),
        ("budget", schema_for!(Budget)),
        ("endpoint", schema_for!(Endpoint)),
        ("node", schema_for!(Node)),
        ("observed", schema_for!(Observed)),
        ("demand", schema_for!(Demand)),
        ("learned", schema_for!(Learned)),
        ("credit", schema_for!(Credit)),
        ("trust", schema_for!(Trust)),
        ("root", schema_for!(RootChange)),
        ("operator", schema_for!(Operator)),
        ("issuer", schema_for!(Issuer)),
        ("member", schema_for!(Member)),
        ("revoke", schema_for!(Revoke)),
        ("drain", schema_for!(Drain)),
        ("policy", schema_for!(Policy)),
        ("secret", schema_for!(Secret)),
        ("config", schema_for!(Config)),
        ("identity", schema_for!(Identity)),
    ]
}
