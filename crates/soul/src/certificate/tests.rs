use proptest::prelude::*;

use super::*;
use crate::testing::*;

prop_compose! {
    fn any_certificate()(
        subject in 0u8.., signer in 0u8.., node in prop::option::of("[a-z0-9]{1,63}"), serial: u64,
        start in 0u64..9_000_000_000_000, life in 1u64..1_000_000_000, mesh: [u8; 32],
        extension in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) -> Certificate {
        let role = node.map_or(Role::Issuer, |node| Role::Member(name(&node)));
        let dates = (Timestamp::from_millis(start), Timestamp::from_millis(start + life));
        let mesh = MeshId::from_bytes(mesh);
        let mut certificate = Certificate::sign(mesh, role, public(subject), &key(signer), dates).unwrap();
        certificate.serial = serial;
        certificate.extensions = extension.map_or_else(Vec::new, |bytes| {
            [&[9], &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
        });
        certificate.signed(&key(signer)).unwrap()
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_back(certificate in any_certificate()) {
        let read = Certificate::decode(&certificate.encode()).unwrap();
        prop_assert!(read.is_signed());
        prop_assert_eq!(&read, &certificate);
        prop_assert_eq!(Certificate::from_pem(&certificate.to_pem()).unwrap(), certificate);
    }

    #[test]
    fn what_is_read_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(certificate) = Certificate::decode(&bytes) {
            prop_assert_eq!(certificate.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_certificate_is_not_signed(
        certificate in any_certificate(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = certificate.encode();
        let mut changed = bytes.clone();
        for (index, byte) in changes {
            changed[index.index(bytes.len())] = byte;
        }
        if let Ok(read) = Certificate::decode(&changed) {
            prop_assert!(changed == bytes || !read.is_signed());
            prop_assert_eq!(read.encode(), changed);
        }
    }
}

#[test]
fn every_altered_byte_is_refused() {
    let mut extended = membership();
    extended.extensions = IGNORABLE.to_vec();
    for certificate in [membership(), issuer_certificate(), extended.signed(&key(ISSUER)).unwrap()] {
        assert!(certificate.is_signed());
        for altered in alterations(&certificate.encode()) {
            assert!(Certificate::decode(&altered).map_or(true, |read| !read.is_signed()), "{altered:?}");
        }
    }
}

#[test]
fn what_a_later_version_adds_is_carried_and_covered() {
    let mut later = membership();
    later.extensions = IGNORABLE.to_vec();
    assert!(!later.is_signed(), "the signature covers extensions");
    let later = later.signed(&key(ISSUER)).unwrap();
    let carried = Certificate::decode(&later.encode()).unwrap();
    assert!(carried.is_signed());
    assert_eq!(carried.encode(), later.encode());

    let mut restricted = membership();
    restricted.extensions = CRITICAL.to_vec();
    let restricted = restricted.signed(&key(ISSUER)).unwrap();
    assert_eq!(Certificate::decode(&restricted.encode()), Err(FormError::Extension(128)));
}

#[test]
fn a_certificate_that_ends_before_it_starts_is_neither_made_nor_read() {
    let none = Certificate::for_issuer(mesh(), public(ISSUER), &key(ROOT), NOW, Duration::ZERO);
    assert!(matches!(none, Err(IssueError::NoLife)));
    let mut backwards = membership();
    backwards.not_after = backwards.not_before;
    let backwards = backwards.signed(&key(ISSUER)).unwrap();
    assert_eq!(Certificate::decode(&backwards.encode()), Err(FormError::Field("end")));
}

#[test]
fn a_role_or_version_that_is_not_known_is_refused() {
    let mut bytes = issuer_certificate().encode();
    bytes[2 + 32 + 32] = 3;
    assert_eq!(Certificate::decode(&bytes), Err(FormError::Field("role")));
    bytes[1] = 2;
    assert_eq!(Certificate::decode(&bytes), Err(FormError::Version(2)));
}

#[test]
fn half_of_a_day_is_noon() {
    assert_eq!(membership().half_life(), NOW + Duration::from_hours(12));
}
