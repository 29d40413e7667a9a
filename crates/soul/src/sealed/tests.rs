use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

fn mesh() -> MeshId {
    MeshId::from_bytes([7; 32])
}

fn label(version: u64) -> Label {
    Label { name: SettingName::new("db-password").unwrap(), version, app_names: BTreeSet::new() }
}

fn sealed(value: &[u8], to: &[&SecretKey]) -> Secret {
    let keys = to.iter().map(|key| key.public_key()).collect();
    seal(mesh(), &label(3), value, &keys, &[]).unwrap()
}

fn opened(secret: &Secret, by: &SecretKey) -> Result<Vec<u8>, UnsealError> {
    unseal(mesh(), secret, &[by]).map(|value| value.to_vec())
}

/// RFC 9180, appendix A.2.1, sequence number 0.
#[test]
fn the_suite_is_the_one_of_the_rfc() {
    let key = HpkePrivateKey::from(hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"));
    let encapsulated =
        EncapsulatedSecret(hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"));
    let text =
        hex("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28");
    let opened = HPKE.open(&encapsulated, b"Ode on a Grecian Urn", b"Count-0", &text, &key).unwrap();
    assert_eq!(opened, b"Beauty is truth, truth beauty");
}

/// What libsodium makes of the same seed (its test `ed25519_convert`).
#[test]
fn an_ed25519_key_becomes_the_x25519_key_that_others_make_of_it() {
    let seed = hex("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee");
    let key = SecretKey::from_seed(seed.as_slice().try_into().unwrap()).unwrap();
    let point = ed25519_dalek::VerifyingKey::from_bytes(key.public_key().as_bytes()).unwrap();
    let expected = hex("f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50");
    assert_eq!(point.to_montgomery().to_bytes().to_vec(), expected);
    let (encapsulated, sealed) = HPKE.seal(b"i", b"a", b"text", &HpkePublicKey(expected)).unwrap();
    let own = HpkePrivateKey::from(key.x25519().to_vec());
    assert_eq!(HPKE.open(&encapsulated, b"i", b"a", &sealed, &own).unwrap(), b"text");
}

#[test]
fn those_it_is_sealed_to_open_it_and_nobody_else() {
    let secret = sealed(b"hunter2", &[&key(1), &key(2)]);
    assert_eq!(opened(&secret, &key(1)).unwrap(), b"hunter2");
    assert_eq!(opened(&secret, &key(2)).unwrap(), b"hunter2");
    assert_eq!(opened(&secret, &key(3)), Err(UnsealError::NoShare));
    let empty = sealed(b"", &[&key(1)]);
    assert_eq!(opened(&empty, &key(1)).unwrap(), b"");
}

#[test]
fn a_share_that_is_moved_does_not_open() {
    let mut secret = sealed(b"hunter2", &[&key(1), &key(2)]);
    let other = secret.shares[&key(2).public_key()].clone();
    secret.shares.insert(key(1).public_key(), other);
    assert_eq!(opened(&secret, &key(1)), Err(UnsealError::Altered));
    let secret = sealed(b"hunter2", &[&key(1)]);
    let elsewhere = [
        Secret { version: 4, ..secret.clone() },
        Secret { name: SettingName::new("other").unwrap(), ..secret.clone() },
        Secret { sealed: sealed(b"hunter3", &[&key(1)]).sealed, ..secret.clone() },
        Secret { sealed: "not base64!".into(), ..secret.clone() },
        Secret { shares: BTreeMap::from([(key(1).public_key(), "AAAA".into())]), ..secret.clone() },
    ];
    for altered in elsewhere {
        assert_eq!(opened(&altered, &key(1)), Err(UnsealError::Altered), "{altered:?}");
    }
    let elsewhere = MeshId::from_bytes([8; 32]);
    assert_eq!(unseal(elsewhere, &secret, &[&key(1)]).unwrap_err(), UnsealError::Altered);
}

#[test]
fn equal_values_are_sealed_unlike() {
    let (one, two) = (sealed(b"hunter2", &[&key(1)]), sealed(b"hunter2", &[&key(1)]));
    assert_ne!(one.sealed, two.sealed);
    assert_ne!(one.shares, two.shares);
}

#[test]
fn what_fits_no_record_is_refused_before_it_is_sealed() {
    let refused = seal(mesh(), &label(1), &vec![0; MAX_SECRET + 1], &BTreeSet::new(), &[]).unwrap_err();
    assert_eq!(refused.to_string(), "seal db-password: 32769 bytes are more than 32768");
    let keys: BTreeSet<PublicKey> = (1..=100).map(|seed| key(seed).public_key()).collect();
    let most = seal(mesh(), &label(1), &vec![0; MAX_SECRET], &keys, &[]).unwrap();
    assert!(serde_json::to_vec(&most).unwrap().len() < 64 * 1024, "100 nodes fit beside the largest value");
}

/// A service that is asked by nobody but this test.
struct Service {
    up: bool,
}

impl Custodian for Service {
    fn content_key(&self, secret: &Secret, bound: &[u8]) -> Result<ContentKey, UnsealError> {
        let wrapped = secret.held.get("test").ok_or(UnsealError::NoShare)?;
        if !self.up {
            return Err(ServiceError("it is down".into()).into());
        }
        let (key, of) = wrapped.split_once(' ').unwrap();
        if hex(of) != bound {
            return Err(UnsealError::Altered);
        }
        content_key(&hex(key))
    }
}

impl KeyService for Service {
    fn name(&self) -> &str {
        "test"
    }

    fn wrap(&self, key: &ContentKey, bound: &[u8]) -> Result<String, ServiceError> {
        let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(format!("{} {}", text(key.as_slice()), text(bound)))
    }
}

#[test]
fn a_key_service_opens_what_it_wrapped_and_its_word_counts_more_than_a_missing_share() {
    let secret = seal(mesh(), &label(3), b"hunter2", &BTreeSet::new(), &[&Service { up: true }]).unwrap();
    let ask = |up| unseal(mesh(), &secret, &[&Service { up }, &key(1)]);
    assert_eq!(*ask(true).unwrap(), b"hunter2");
    assert!(matches!(ask(false), Err(UnsealError::Service(_))));
}

proptest! {
    #[test]
    fn any_value_comes_back(value: Vec<u8>) {
        prop_assert_eq!(opened(&sealed(&value, &[&key(1)]), &key(1)).unwrap(), value);
    }

    /// What a record holds is an outsider's bytes until it opens.
    #[test]
    fn whatever_stands_in_a_record_is_opened_or_refused(share: String, sealed: String, raw: Vec<u8>) {
        for (share, sealed) in [(share, sealed), (STANDARD.encode(&raw), STANDARD.encode(&raw))] {
            let shares = BTreeMap::from([(key(1).public_key(), share)]);
            let (name, app_names) = (label(1).name, BTreeSet::new());
            let secret = Secret { name, version: 1, app_names, sealed, shares, held: BTreeMap::new() };
            prop_assert_eq!(opened(&secret, &key(1)), Err(UnsealError::Altered));
        }
    }
}
