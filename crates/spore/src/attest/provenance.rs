//! Provenance: an in-toto statement (v1) with SLSA's provenance (v1) in it, signed by the publisher in a DSSE envelope.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{Digest, SignError, Signer};

use super::read::AttestError;
use super::{Envelope, PROVENANCE};
use crate::Manifest;

/// The `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The `predicateType` of SLSA's provenance.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// The payload type of an in-toto statement.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A provenance whose signature is the publisher's, and whose subject is the program it lies beside.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// How and from what it was built, in SLSA's words.
    pub predicate: Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: Digests,
}

#[derive(Debug, Serialize, Deserialize)]
struct Digests {
    sha256: Option<String>,
}

impl Provenance {
    /// The envelope that says with `signer`'s key that the program `name` of `digest` was built as `predicate` says.
    pub fn seal(
        name: &str,
        digest: &Digest,
        predicate: &Value,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, SignError> {
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": name, "digest": { "sha256": digest } }],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        });
        let text = serde_json_canonicalizer::to_vec(&statement).expect("plain JSON has a canonical form");
        Ok(Envelope::seal(PAYLOAD_TYPE, &text, signer)?.to_vec())
    }

    /// Reads the envelope of a spore, and checks that its publisher signed it and that it is about its program.
    pub fn read(bytes: &[u8], manifest: &Manifest) -> Result<Self, AttestError> {
        let refused = |problem: String| AttestError::False { path: PROVENANCE, problem };
        let envelope = Envelope::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
        let payload = envelope.verify(&manifest.public_key).map_err(|e| refused(e.to_string()))?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(refused(format!("its payload is {:?}, not {PAYLOAD_TYPE}", envelope.payload_type)));
        }
        let statement: Statement = types::json::from_slice(&payload).map_err(|e| refused(e.to_string()))?;
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return Err(refused(format!(
                "it is a {:?} of {:?}, not {STATEMENT_TYPE} of {PREDICATE_TYPE}",
                statement.kind, statement.predicate_type
            )));
        }
        let binary = manifest.binary_sha256.to_string();
        if !statement.subject.iter().any(|subject| subject.digest.sha256.as_ref() == Some(&binary)) {
            let others: Vec<_> = statement
                .subject
                .iter()
                .take(4)
                .map(|of| of.digest.sha256.clone().unwrap_or_default())
                .collect();
            return Err(refused(format!(
                "it is about {}, but the program's SHA-256 is {binary}",
                if others.is_empty() { "nothing".to_owned() } else { others.join(", ") }
            )));
        }
        if !statement.predicate.is_object() {
            return Err(refused("its predicate is no object".to_owned()));
        }
        Ok(Self { predicate: statement.predicate })
    }

    /// Where the source is kept, as it says: the URI of the first thing that was resolved for the build.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.predicate.pointer("/buildDefinition/resolvedDependencies/0/uri")?.as_str()
    }

    /// The commit it was built from, as it says.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.predicate.pointer("/buildDefinition/resolvedDependencies/0/digest/gitCommit")?.as_str()
    }

    /// Who built it, as it says.
    #[must_use]
    pub fn builder(&self) -> Option<&str> {
        self.predicate.pointer("/runDetails/builder/id")?.as_str()
    }
}
