use super::*;
use base64::Engine as _;

#[test]
fn digests_read_back_and_refuse_anything_else() {
    let digest = Digest::of(b"abc");
    assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(digest.to_string().parse(), Ok(digest));
    for text in ["", "abc", &digest.to_string().to_uppercase(), &format!("{digest}0")] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}

#[test]
fn a_replica_is_known_by_the_name_of_its_app_however_long_that_is() {
    for length in [1, 56, 57, 58, 63] {
        let app = AppName::new(&"a".repeat(length)).unwrap();
        let replica = ReplicaName::of(&app, "x2y3z").unwrap();
        assert_eq!(replica.as_str().len(), (length + 6).min(63));
        assert!(replica.is_of(&app));
        assert!(!replica.is_of(&AppName::new("b").unwrap()));
    }
    let (billing, replica) =
        (AppName::new("billing").unwrap(), ReplicaName::new("billing-v2-x2y3z").unwrap());
    assert!(!replica.is_of(&billing) && replica.is_of(&AppName::new("billing-v2").unwrap()));
    assert!(!ReplicaName::new("billing").unwrap().is_of(&billing));
}

#[test]
fn a_mesh_is_founded_on_both_keys_in_their_roles() {
    let key = |seed| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap()
    };
    let id = MeshId::of_genesis(&key(1), &key(2));
    for (root, recovery) in [(2, 1), (1, 3), (3, 2)] {
        assert_ne!(MeshId::of_genesis(&key(root), &key(recovery)), id);
    }
    let founded_on = [b"mycelium mesh genesis\0".as_slice(), key(1).as_bytes(), key(2).as_bytes()].concat();
    assert_eq!(id, MeshId::from_bytes(*Digest::of(&founded_on).as_bytes()), "the form is for ever");
}

#[test]
fn names_are_dns_labels() {
    for good in ["a", "billing", "node-1", "0x", &"a".repeat(63)] {
        assert!(AppName::new(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ü", &"a".repeat(64)] {
        assert!(AppName::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn times_are_rfc_3339() {
    let time: Timestamp = "2025-09-06T00:00:00Z".parse().unwrap();
    assert_eq!(time.as_millis(), 1_757_116_800_000);
    assert_eq!(time.to_string(), "2025-09-06T00:00:00Z");
    assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    assert!("yesterday".parse::<Timestamp>().is_err());
}

#[test]
fn small_order_and_uncanonical_keys_are_refused() {
    let mut neutral = [0u8; 32];
    neutral[0] = 1;
    assert_eq!(PublicKey::from_bytes(&neutral), Err(KeyError::SmallOrder));
    assert_eq!(PublicKey::from_bytes(&[0u8; 32]), Err(KeyError::SmallOrder));
    // y = p + 3 encodes the same point as y = 3, but not canonically.
    let mut uncanonical = [0xffu8; 32];
    uncanonical[0] = 0xed + 3;
    uncanonical[31] = 0x7f;
    assert_eq!(PublicKey::from_bytes(&uncanonical), Err(KeyError::NotCanonical));
    assert_eq!(PublicKey::from_bytes(&[1, 2]), Err(KeyError::Length(2)));
}

#[test]
fn a_malleable_signature_is_refused() {
    use ed25519_dalek::Signer as _;
    let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    let good = secret.sign(b"spore").to_bytes();
    assert_eq!(key.verify(b"spore", &Signature::from_bytes(good)), Ok(()));
    assert_eq!(key.verify(b"spure", &Signature::from_bytes(good)), Err(SignatureError::Mismatch));

    // S + L signs the same message wherever S is not checked against the group order.
    let order: [u8; 32] = {
        let mut l = [0u8; 32];
        l[..16].copy_from_slice(&27_742_317_777_372_353_535_851_937_790_883_648_493u128.to_le_bytes());
        l[31] = 0x10;
        l
    };
    let mut malleable = good;
    let mut carry = 0u16;
    for (s, l) in malleable[32..].iter_mut().zip(order) {
        carry += u16::from(*s) + u16::from(l);
        *s = (carry & 0xff) as u8;
        carry >>= 8;
    }
    assert_eq!(key.verify(b"spore", &Signature::from_bytes(malleable)), Err(SignatureError::Mismatch));
}

#[test]
fn keys_read_back_from_base64_and_nothing_else_does() {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let key = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    assert_eq!(key.to_string().parse(), Ok(key));
    assert!(key.fingerprint().to_string().starts_with("SHA256:"));
    assert_eq!("?".parse::<PublicKey>(), Err(KeyError::NotBase64));
    let short = base64::engine::general_purpose::STANDARD.encode([1u8; 31]);
    assert_eq!(short.parse::<PublicKey>(), Err(KeyError::Length(31)));
}
