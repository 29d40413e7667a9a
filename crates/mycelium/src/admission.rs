//! What operators' rules say to a spore: every policy that holds, evaluated over one document. Without any, all may
//! sprout; when they can't be evaluated, none may.

use agent::{Admission, Candidate};
use fabric::Fabric;
use genome::{Identity, Node, Plan};
use policy::{Evaluator, Module};
use serde_json::{Value, json};
use spore::Manifest;
use spore::attest::Attestations;
use types::{Digest, PublicKey};

/// What a process of this program is told, to be one that evaluates policies.
pub const WORKER: &str = "policy-worker";

/// The rules of the mesh.
pub(crate) struct Rules {
    pub(crate) fabric: Fabric,
    pub(crate) evaluator: Evaluator,
}

impl Admission for Rules {
    fn reasons(&self, candidate: &Candidate) -> Result<Vec<String>, String> {
        let view = self.fabric.view();
        if view.policies.is_empty() {
            return Ok(Vec::new());
        }
        let modules: Vec<Module> = view.policies.values().map(|entry| module(&entry.value)).collect();
        let plan = view.plans.get(candidate.app).map(|entry| &*entry.value);
        let subject = Subject {
            digest: candidate.digest,
            manifest: candidate.manifest,
            attestations: candidate.attestations,
            plan,
            node: Some(candidate.node),
        };
        self.evaluator.reasons(&modules, subject.input()).map_err(|error| format!("failed to {error}"))
    }

    fn vouched(&self, publisher: &PublicKey, bundle: &[u8]) -> Result<(), String> {
        let view = self.fabric.view();
        let mut why = "nobody here may vouch for publishers".to_owned();
        for entry in view.identities.values() {
            match vouches(&entry.value, publisher, bundle) {
                Ok(()) => return Ok(()),
                Err(refusal) => why = format!("for {}: {refusal}", entry.value.name),
            }
        }
        Err(why)
    }
}

/// A policy as it is evaluated.
#[must_use]
pub fn module(policy: &genome::Policy) -> Module {
    Module { name: format!("{}.rego", policy.name), rego: policy.rego.clone() }
}

/// What policies are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The SHA-256 of the spore.
    pub digest: &'a Digest,
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// What it carries about itself.
    pub attestations: &'a Attestations,
    /// The plan that wants it, if one does.
    pub plan: Option<&'a Plan>,
    /// The node that it is to run on, if that is known.
    pub node: Option<&'a Node>,
}

impl Subject<'_> {
    /// The document that policies see as `input`; what there is nothing to say of is left out of it.
    #[must_use]
    pub fn input(&self) -> Value {
        let mut input = json!({
            "app": self.manifest.name,
            "digest": self.digest,
            "manifest": self.manifest.document(),
            "publisher": publisher(&self.manifest.public_key),
        });
        if let Some(sbom) = &self.attestations.sbom {
            let version = sbom.document.get("specVersion");
            input["sbom"] = json!({ "specVersion": version, "components": sbom.components });
        }
        if let Some(provenance) = &self.attestations.provenance {
            input["provenance"] = provenance.predicate.clone();
        }
        if let Some(plan) = self.plan {
            // Not its environment, which may hold what is nobody's business: a reason is told to everybody.
            input["plan"] = json!({
                "app": plan.app_name, "version": plan.release.version, "min": plan.min, "max": plan.max,
                "port": plan.release.port, "constraints": plan.constraints, "labels": plan.labels,
            });
        }
        if let Some(node) = self.node {
            input["node"] = json!({
                "name": node.node_id, "host": node.host, "labels": node.labels, "version": node.version,
            });
        }
        input
    }
}

/// Whether a bundle says that `identity` signed the publisher's key, as it stands in a `.pub` file.
pub fn vouches(identity: &Identity, publisher: &PublicKey, bundle: &[u8]) -> Result<(), lichen::Refusal> {
    let root = lichen::Root::read(identity.trusted_root.as_bytes())?;
    let expected = lichen::Expected { identity: &identity.identity, issuer: &identity.issuer };
    lichen::verify(bundle, soul::public_key_to_pem(publisher).as_bytes(), &root, expected)
}

fn publisher(key: &PublicKey) -> Value {
    json!({ "public_key": key, "fingerprint": key.fingerprint() })
}
