use super::*;

/// RFC 8032 §7.1, test 2.
const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn signs_as_the_rfc_says() {
    let key = SecretKey::from_seed(&hex(SEED).try_into().unwrap()).unwrap();
    assert_eq!(key.public_key().as_bytes().as_slice(), hex(PUBLIC));
    let signature = key.sign(&[0x72]).unwrap();
    assert_eq!(signature.as_bytes().as_slice(), hex(SIGNATURE));
    key.public_key().verify(&[0x72], &signature).unwrap();
}

/// RFC 8410 §10.3: the example without and with the public half.
#[test]
fn reads_both_forms_of_the_rfc() {
    let v1 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let v2 = "-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";
    let key = SecretKey::from_pem(v1).unwrap();
    assert_eq!(key.to_pem().as_str(), v1, "what we write is the first form");
    match SecretKey::from_pem(v2) {
        Ok(same) => assert_eq!(same.public_key(), key.public_key()),
        // attributes are optional to support; refusing is fine, a different key is not
        Err(error) => assert_eq!(error, PemError::Malformed),
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = SecretKey::generate().unwrap();
    let shown = format!("{key:?} {key:#?}");
    let bytes = key.key.to_bytes();
    let secret_hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert!(!shown.contains(&secret_hex) && !shown.contains(&format!("{bytes:?}")));
    assert!(shown.contains(&key.fingerprint().to_string()));
    assert!(!shown.contains(key.to_pem().lines().nth(1).unwrap()));
}

#[test]
fn two_keys_differ() {
    assert_ne!(SecretKey::generate().unwrap().public_key(), SecretKey::generate().unwrap().public_key());
}

#[test]
fn says_what_it_was_given_instead() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nMC4CAQ==\n-----END {label}-----\n");
    let refused = |text: &str| SecretKey::from_pem(text).unwrap_err();
    assert_eq!(refused(&block("ENCRYPTED PRIVATE KEY")), PemError::Encrypted);
    assert_eq!(refused(&block("PUBLIC KEY")), PemError::Public);
    assert_eq!(refused(&block("OPENSSH PRIVATE KEY")), PemError::OpenSsh);
    assert_eq!(refused(&block("EC PRIVATE KEY")), PemError::Algorithm);
    assert_eq!(refused(&block("PRIVATE KEY")), PemError::Malformed);
    assert_eq!(refused(""), PemError::Malformed);
}
