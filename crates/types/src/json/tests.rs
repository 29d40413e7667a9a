use super::*;

#[test]
fn a_key_that_stands_twice_is_refused_at_any_depth() {
    let error = parse(br#"{"a":{"b":1,"c":2,"b":3}}"#).unwrap_err();
    assert!(error.to_string().contains(r#"the key "b" stands twice"#), "{error}");
    // The same key, written once plainly and once escaped, is the same key.
    assert!(parse(br#"{"a":1,"\u0061":2}"#).is_err());
}

#[test]
fn integers_that_readers_round_are_refused() {
    assert!(parse(b"9007199254740991").is_ok());
    for text in ["9007199254740992", "-9007199254740992", "18446744073709551616", "1e300"] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn depth_and_trailing_bytes_are_bounded() {
    assert!(parse(&[b"[".repeat(32), b"]".repeat(32)].concat()).is_ok());
    assert!(parse(&[b"[".repeat(33), b"]".repeat(33)].concat()).is_err());
    assert!(parse(&b"[".repeat(100_000)).is_err());
    assert!(parse(b"{} {}").is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_value_and_what_is_accepted_reads_the_same(bytes: Vec<u8>) {
        if let Ok(value) = parse(&bytes) {
            proptest::prop_assert_eq!(value, serde_json::from_slice::<Value>(&bytes).unwrap());
        }
    }
}
