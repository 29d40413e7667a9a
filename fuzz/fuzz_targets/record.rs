//! Any bytes as a record: what reads has one form, and signed by an operator or a node it meets the store.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use fabric::{Authority, Core, Draft, Input, MeshId, Owner, Record};
use libfuzzer_sys::fuzz_target;
use types::{Namespace, PublicKey, SignError, Signature, Signer, Timestamp};

const MESH: MeshId = MeshId::from_bytes([5; 32]);

struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

static KEY: LazyLock<Key> = LazyLock::new(|| Key(SigningKey::from_bytes(&[1; 32])));

fuzz_target!(|data: &[u8]| {
    let Ok(record) = Record::decode(data) else { return };
    assert_eq!(record.encode(), data);
    let draft = Draft {
        mesh: MESH,
        key: record.key().clone(),
        order: record.order(),
        expires: record.expires(),
        payload: record.payload().map(<[u8]>::to_vec),
    };
    let signed = draft.sign(&*KEY).unwrap();
    assert_eq!(Record::decode(&signed.encode()).unwrap(), signed);
    let Ok(verified) = signed.clone().verify(&MESH) else { return };

    let mut authority = Authority { operators: [KEY.public_key()].into(), ..Authority::default() };
    if let Owner::Node(node) = &signed.key().owner {
        authority.nodes.insert(node.clone(), KEY.public_key());
    }
    let now = Timestamp::from_secs(1_800_000_000);
    let mut core = Core::new(MESH, authority, now);
    core.handle(Input::Merge(verified.clone()), now);
    let once: Vec<Record> = core.records().cloned().collect();
    core.handle(Input::Merge(verified), now);
    assert!(core.records().eq(&once));
    assert!(once.iter().all(|held| *held == signed));
    drop(core.view(&Namespace::default()));
    core.handle(Input::Tick, now + Duration::from_secs(40 * 24 * 3600));
    assert!(core.records().all(|held| held.payload().is_some()), "no tombstone outlives its time");
});
