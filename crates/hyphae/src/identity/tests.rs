use super::*;

fn reset(seed: u8, address: &str) -> Vec<u8> {
    let key = Identity::new(&[seed; 32]).unwrap().reset_key(address.parse().unwrap()).unwrap();
    hmac::sign(&key, b"a connection id").as_ref().to_vec()
}

#[test]
fn the_public_key_is_the_one_of_the_seed() {
    // RFC 8032 §7.1, test 1
    let hex = |text: &str| -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    };
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(Identity::new(&seed).unwrap().me.as_bytes(), &public);
}

#[test]
fn resets_hold_over_a_restart_for_one_node_and_one_socket() {
    let one = reset(1, "192.0.2.1:4433");
    assert_eq!(one, reset(1, "192.0.2.1:4433"));
    for other in [reset(2, "192.0.2.1:4433"), reset(1, "192.0.2.1:4434"), reset(1, "192.0.2.2:4433")] {
        assert_ne!(one, other);
    }
}

#[test]
fn only_a_usable_ed25519_key_is_one() {
    let good = Identity::new(&[7; 32]).unwrap();
    let spki = good.signer.cert[0].to_vec();
    assert_eq!(key_of(&spki), Ok(good.me));
    let mut weak = SPKI.to_vec();
    weak.extend([1].into_iter().chain([0; 31]));
    let mut x25519 = spki.clone();
    x25519[8] = 0x6e;
    let longer = [&spki[..], &[0]].concat();
    for bad in [&weak[..], &x25519, &longer, &spki[..43], &[]] {
        assert!(key_of(bad).is_err(), "{bad:?}");
    }
}
