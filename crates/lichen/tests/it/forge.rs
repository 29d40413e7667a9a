//! An authority of our own, with its logs: whatever a real one signs, signed here, so that each part can be made false.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, SigningKey as _,
};
use serde_json::{Value, json};
use types::Digest;

/// Fulcio's extension that names the identity provider, version 2.
const ISSUER: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];
/// The list of timestamps of certificate logs (RFC 6962 §3.3).
const SCTS: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
/// When everything happens: 2026-01-02T03:04:05Z.
const AT: u64 = 1_767_323_045;
const ORIGIN: &str = "log.example - 1";

/// What is to be wrong, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// The certificate log signed another certificate.
    Sct,
    /// The log's word of when is of another time.
    Time,
    /// The entry was logged after the certificate had expired.
    Expired,
    /// The tree's signed head is of another tree.
    Checkpoint,
    /// The entry is not the leaf.
    Leaf,
    /// The certificate is not one for signing code.
    Usage,
}

pub struct Authority {
    ca: Issuer<'static, KeyPair>,
    ca_der: Vec<u8>,
    ca_spki: Vec<u8>,
    ct: KeyPair,
    rekor: KeyPair,
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn id(key: &KeyPair) -> Digest {
    Digest::of(&key.subject_public_key_info())
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2025, 1, 1), rcgen::date_time_ymd(2100, 1, 1));
        let ca_der = params.self_signed(&key).unwrap().der().to_vec();
        let ca_spki = key.subject_public_key_info();
        let ct = KeyPair::generate().unwrap();
        Self { ca: Issuer::new(params, key), ca_der, ca_spki, ct, rekor: KeyPair::generate().unwrap() }
    }

    /// Its `trusted_root.json`.
    pub fn root(&self) -> Value {
        let log = |key: &KeyPair, url: &str| {
            json!({
                "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": { "keyId": base64(id(key).as_bytes()) },
                "publicKey": {
                    "rawBytes": base64(&key.subject_public_key_info()), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": "2025-01-01T00:00:00Z" },
                },
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.rekor, "https://log.example")],
            "certificateAuthorities": [{
                "subject": { "organization": "example", "commonName": "an authority for tests" },
                "uri": "https://ca.example",
                "certChain": { "certificates": [{ "rawBytes": base64(&self.ca_der) }] },
                "validFor": { "start": "2025-01-01T00:00:00Z" },
            }],
            "ctlogs": [log(&self.ct, "https://ct.example")],
            "timestampAuthorities": [],
        })
    }

    /// A bundle (v0.3) in which `identity` signs `artifact`.
    pub fn bundle(&self, artifact: &[u8], identity: &str, issuer: &str, wrong: Wrong) -> Value {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(&key, identity, issuer, wrong);
        let signature = key.sign(artifact).unwrap();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines(&base64(&certificate))
        );
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": Digest::of(artifact) } },
                "signature": { "content": base64(&signature), "publicKey": { "content": base64(pem.as_bytes()) } },
            },
        })
        .to_string();
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": base64(&certificate) },
                "tlogEntries": [self.entry(body.as_bytes(), wrong)],
                "timestampVerificationData": {},
            },
            "messageSignature": {
                "messageDigest": { "algorithm": "SHA2_256", "digest": base64(Digest::of(artifact).as_bytes()) },
                "signature": base64(&signature),
            },
        })
    }

    /// A certificate for ten minutes, with the timestamp of the certificate log in it.
    fn certificate(&self, key: &KeyPair, identity: &str, issuer: &str, wrong: Wrong) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(7_u64));
        let from = rcgen::date_time_ymd(2026, 1, 2) + std::time::Duration::from_secs(3 * 3600);
        (params.not_before, params.not_after) = (from, from + std::time::Duration::from_secs(600));
        params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usage = if wrong == Wrong::Usage {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::CodeSigning
        };
        params.extended_key_usages = vec![usage];
        let mut text = vec![0x0c, u8::try_from(issuer.len()).unwrap()];
        text.extend_from_slice(issuer.as_bytes());
        params.custom_extensions = vec![CustomExtension::from_oid_content(ISSUER, text)];
        let before = params.signed_by(key, &self.ca).unwrap();
        let mut tbs = tbs(before.der()).to_vec();
        if wrong == Wrong::Sct {
            tbs.push(0);
        }
        let scts = CustomExtension::from_oid_content(SCTS, self.timestamps(&tbs));
        params.custom_extensions.push(scts);
        params.signed_by(key, &self.ca).unwrap().der().to_vec()
    }

    /// RFC 6962 §3.2 and §3.3: one timestamp, in a list, in an octet string.
    fn timestamps(&self, tbs: &[u8]) -> Vec<u8> {
        let at = (AT * 1000).to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(at);
        signed.extend([0, 1]);
        signed.extend(Digest::of(&self.ca_spki).as_bytes());
        signed.extend(&u32::try_from(tbs.len()).unwrap().to_be_bytes()[1..]);
        signed.extend(tbs);
        signed.extend([0, 0]);
        let signature = self.ct.sign(&signed).unwrap();
        let short = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let mut one = vec![0];
        one.extend(id(&self.ct).as_bytes());
        one.extend(at);
        one.extend([0, 0, 4, 3]);
        one.extend(short(signature.len()));
        one.extend(signature);
        let mut list = short(one.len() + 2).to_vec();
        list.extend(short(one.len()));
        list.extend(one);
        let mut octets = vec![4, 0x81, u8::try_from(list.len()).unwrap()];
        if list.len() < 128 {
            octets.remove(1);
        }
        octets.extend(list);
        octets
    }

    /// The entry of a log of two, with its proof, its signed head and the log's word of when.
    fn entry(&self, body: &[u8], wrong: Wrong) -> Value {
        let node = |prefix: u8, parts: &[&[u8]]| Digest::of(&[&[prefix][..], &parts.concat()].concat());
        let other = node(0, &[b"another entry"]);
        let leaf = node(0, &[if wrong == Wrong::Leaf { b"something else" } else { body }]);
        let root = node(1, &[other.as_bytes(), leaf.as_bytes()]);
        let note = format!("{ORIGIN}\n2\n{}\n", base64(root.as_bytes()));
        let signed = if wrong == Wrong::Checkpoint { note.replace("\n2\n", "\n3\n") } else { note.clone() };
        let mut signature = id(&self.rekor).as_bytes()[..4].to_vec();
        signature.extend(self.rekor.sign(signed.as_bytes()).unwrap());
        let at = if wrong == Wrong::Expired { AT + 3600 } else { AT };
        let promised = if wrong == Wrong::Time { at - 1 } else { at };
        // Keys in order, nothing between: its canonical form (RFC 8785).
        let promise = format!(
            r#"{{"body":"{}","integratedTime":{promised},"logID":"{}","logIndex":1}}"#,
            base64(body),
            id(&self.rekor)
        );
        json!({
            "logIndex": "1",
            "logId": { "keyId": base64(id(&self.rekor).as_bytes()) },
            "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
            "integratedTime": at.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": base64(&self.rekor.sign(promise.as_bytes()).unwrap()) },
            "inclusionProof": {
                "logIndex": "1", "rootHash": base64(root.as_bytes()), "treeSize": "2",
                "hashes": [base64(other.as_bytes())],
                "checkpoint": { "envelope": format!("{note}\n— log.example {}\n", base64(&signature)) },
            },
            "canonicalizedBody": base64(body),
        })
    }
}

/// What is signed of a certificate: the first element of its sequence.
fn tbs(der: &[u8]) -> &[u8] {
    let (head, _) = header(der);
    let (inner, length) = header(&der[head..]);
    &der[head..head + inner + length]
}

/// How long a DER element's header and its content are.
fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short if short < 0x80 => (2, usize::from(short)),
        long => {
            let bytes = usize::from(long & 0x7f);
            (2 + bytes, der[2..2 + bytes].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
        }
    }
}

fn lines(text: &str) -> String {
    text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
}
