use super::*;

fn extensions(bytes: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::new();
    put_extensions(&mut out, bytes);
    whole(&out, |reader| reader.extensions())
}

#[test]
fn extensions_that_may_be_ignored_are_carried_as_they_are() {
    let good: [&[u8]; 4] = [&[], &[0, 0, 0], &[1, 0, 2, 9, 9], &[0, 0, 0, 1, 0, 1, 7, 127, 0, 0]];
    for good in good {
        assert_eq!(extensions(good).unwrap(), good);
    }
    let mut longest = vec![3];
    longest.extend_from_slice(&u16::try_from(MAX_EXTENSIONS - 3).unwrap().to_be_bytes());
    longest.resize(MAX_EXTENSIONS, 0);
    assert_eq!(extensions(&longest).unwrap(), longest);
    longest.push(0);
    assert_eq!(extensions(&longest), Err(FormError::Field("extensions")));
}

#[test]
fn extensions_have_one_order_and_whole_lengths() {
    for bad in [&[1, 0, 0, 1, 0, 0][..], &[2, 0, 0, 1, 0, 0]] {
        assert_eq!(extensions(bad), Err(FormError::Field("extensions")), "{bad:?}");
    }
    for bad in [&[1][..], &[1, 0], &[1, 0, 1], &[1, 0xff, 0xff, 0]] {
        assert_eq!(extensions(bad), Err(FormError::Truncated("extensions")), "{bad:?}");
    }
}

#[test]
fn an_extension_that_must_be_understood_is_refused_by_its_tag() {
    assert_eq!(extensions(&[1, 0, 0, 128, 0, 0]), Err(FormError::Extension(128)));
    assert_eq!(extensions(&[255, 0, 1, 0]), Err(FormError::Extension(255)));
}

#[test]
fn parts_have_one_form() {
    let time = |millis: u64| whole(&millis.to_be_bytes(), |r| r.time("end"));
    assert!(time(253_402_300_799_999).is_ok());
    assert_eq!(time(253_402_300_800_000), Err(FormError::Field("end")));
    for bad in [&b"\0"[..], b"\x01A", b"\x02a-", b"\x01\xff"] {
        assert_eq!(whole(bad, |r| r.name()), Err(FormError::Field("name")), "{bad:?}");
    }
    // The neutral point: anyone could sign for it.
    let mut small = [0; 32];
    small[0] = 1;
    assert_eq!(whole(&small, |r| r.key("signer")), Err(FormError::Field("signer")));
    assert_eq!(whole(&[0, 2], |r| r.version()), Err(FormError::Version(2)));
    assert_eq!(whole(&[0, 1, 0], |r| r.version()), Err(FormError::Trailing(1)));
}
