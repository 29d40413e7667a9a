//! DSSE, the envelope that statements about software are signed in (secure-systems-lab/dsse, v1.0.2).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use types::json::JsonError;
use types::{PublicKey, SignError, Signature, Signer};

/// The most signatures that are looked at.
const MAX_SIGNATURES: usize = 16;

/// A payload, what it is, and who signed it. Read by [`Envelope::from_slice`]; proves nothing until verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The payload in base64.
    payload: String,
    /// What the payload is: `application/vnd.in-toto+json`.
    pub payload_type: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Why an envelope says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// Not JSON, or not of the shape of an envelope.
    #[error("not a DSSE envelope: {0}")]
    Json(#[from] JsonError),
    /// The payload or a signature is not base64.
    #[error("its {0} is not base64")]
    Base64(&'static str),
    /// None, or more than anybody needs.
    #[error("it has {0} signatures instead of 1 to {MAX_SIGNATURES}")]
    Count(usize),
    /// No signature is that of the key that is asked about.
    #[error("no signature of it holds for the key {0}")]
    Unsigned(String),
}

impl Envelope {
    /// Reads an envelope strictly; verifies nothing.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DsseError> {
        let envelope: Self = types::json::from_slice(bytes)?;
        match envelope.signatures.len() {
            1..=MAX_SIGNATURES => Ok(envelope),
            count => Err(DsseError::Count(count)),
        }
    }

    /// Signs `payload`; the key's id is its fingerprint.
    pub fn seal(payload_type: &str, payload: &[u8], signer: &dyn Signer) -> Result<Self, SignError> {
        let signature = signer.sign(&pae(payload_type, payload))?;
        let keyid = signer.public_key().fingerprint().to_string();
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signed { keyid, sig: STANDARD.encode(signature.as_bytes()) }],
        })
    }

    /// The payload, whoever signed it.
    pub fn payload(&self) -> Result<Vec<u8>, DsseError> {
        decode(&self.payload).ok_or(DsseError::Base64("payload"))
    }

    /// The payload, if `key` signed it. What it calls the key is not looked at.
    pub fn verify(&self, key: &PublicKey) -> Result<Vec<u8>, DsseError> {
        let payload = self.payload()?;
        let message = pae(&self.payload_type, &payload);
        for signature in self.raw_signatures()? {
            let Ok(bytes) = <[u8; 64]>::try_from(signature) else { continue };
            if key.verify(&message, &Signature::from_bytes(bytes)).is_ok() {
                return Ok(payload);
            }
        }
        Err(DsseError::Unsigned(key.fingerprint().to_string()))
    }

    /// The signatures as bytes, for algorithms that this crate doesn't know.
    pub fn raw_signatures(&self) -> Result<Vec<Vec<u8>>, DsseError> {
        let all = self.signatures.iter().map(|signed| decode(&signed.sig));
        all.collect::<Option<_>>().ok_or(DsseError::Base64("signature"))
    }

    /// The envelope as it is stored.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("texts always serialise");
        text.push(b'\n');
        text
    }
}

/// What is signed: the type and the payload, each with its length, so that neither can pass for the other.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// Standard or URL-safe base64, with its padding or without: the specification has readers accept all.
fn decode(text: &str) -> Option<Vec<u8>> {
    [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD].iter().find_map(|form| form.decode(text).ok())
}
