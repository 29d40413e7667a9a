use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use types::{PublicKey, SignError, Signature, Signer};

use super::*;

struct Key(ed25519_dalek::SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fn key(seed: u8) -> Key {
    Key(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
}

#[test]
fn the_signed_form_is_that_of_the_specification() {
    // The example of the DSSE protocol: "http://example.com/HelloWorld", "hello world".
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn only_the_key_that_signed_opens_an_envelope_and_no_change_passes() {
    let sealed = Envelope::seal("text/plain", b"hello", &key(1)).unwrap();
    let read = Envelope::from_slice(&sealed.to_vec()).unwrap();
    assert_eq!(read.verify(&key(1).public_key()).unwrap(), b"hello");
    assert!(matches!(read.verify(&key(2).public_key()), Err(DsseError::Unsigned(_))));
    let mut other = read.clone();
    other.payload_type = "text/html".into();
    assert!(matches!(other.verify(&key(1).public_key()), Err(DsseError::Unsigned(_))));
    let many = json!({ "payload": "", "payloadType": "x", "signatures": vec![json!({ "sig": "" }); 17] });
    for (text, expected) in [
        (many.to_string(), "it has 17 signatures"),
        (json!({ "payload": "", "payloadType": "x", "signatures": [] }).to_string(), "it has 0 signatures"),
        (json!({ "payload": "" }).to_string(), "not a DSSE envelope"),
    ] {
        let said = Envelope::from_slice(text.as_bytes()).unwrap_err().to_string();
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn base64_of_every_form_that_writers_use_is_read() {
    for payload in ["-_8=", "-_8", "+/8=", "+/8"] {
        let text =
            json!({ "payload": payload, "payloadType": "x", "signatures": [{ "sig": "" }] }).to_string();
        assert_eq!(Envelope::from_slice(text.as_bytes()).unwrap().payload().unwrap(), [0xfb, 0xff]);
    }
}

fn sbom(change: impl Fn(&mut Value)) -> Result<Sbom, String> {
    let mut document = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
            { "type": "library", "name": "a", "version": "1", "purl": "pkg:cargo/a@1",
              "licenses": [{ "license": { "id": "MIT" } }, { "expression": "MIT OR Apache-2.0" }],
              "components": [{ "type": "file", "name": "b" }] },
            { "type": "library", "name": "c" },
        ],
    });
    change(&mut document);
    Sbom::read(document.to_string().as_bytes())
}

#[test]
fn an_sbom_is_read_with_the_components_within_components() {
    let read = sbom(|_| ()).unwrap();
    let names: Vec<_> = read.components.iter().map(|of| of.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(read.components[0].purl.as_deref(), Some("pkg:cargo/a@1"));
    assert_eq!(read.components[0].licenses, ["MIT", "MIT OR Apache-2.0"]);
    assert!(sbom(|document| drop(document.as_object_mut().unwrap().remove("components"))).is_ok());
}

#[test]
fn what_is_no_sbom_is_refused_by_what_is_wrong_with_it() {
    let refused = |change: fn(&mut Value)| sbom(change).unwrap_err();
    assert!(refused(|d| d["bomFormat"] = json!("SPDX")).contains("bomFormat"));
    assert!(refused(|d| d["specVersion"] = json!("9.9")).contains("\"9.9\""));
    assert!(refused(|d| d["specVersion"] = json!(1.6)).contains("specVersion"));
    assert_eq!(refused(|d| d["components"] = json!({})), "components is no list");
    assert_eq!(refused(|d| d["components"][1]["name"] = json!("")), "components[1] has no name");
    assert_eq!(refused(|d| d["components"][1]["version"] = json!(7)), "components[1].version is no text");
    assert_eq!(
        refused(|d| d["components"][0]["components"][0]["type"] = Value::Null),
        "components[0].components[0].type is no text"
    );
    assert!(Sbom::read(b"{}{}").is_err() && Sbom::read(b"").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Envelope::from_slice(&bytes).map(|envelope| envelope.verify(&key(1).public_key()));
        let _ = Sbom::read(&bytes);
    }

    #[test]
    fn no_altered_byte_of_an_envelope_says_something_else(at in 0usize..500, to in any::<u8>()) {
        let sealed = Envelope::seal("text/plain", br#"{"a":[1,2,3]}"#, &key(3)).unwrap().to_vec();
        let mut altered = sealed.clone();
        let at = at % altered.len();
        altered[at] = to;
        if let Ok(payload) = Envelope::from_slice(&altered).and_then(|e| e.verify(&key(3).public_key())) {
            prop_assert_eq!(payload, br#"{"a":[1,2,3]}"#);
        }
    }
}
