use super::*;

#[test]
fn equal_documents_are_equal_bytes_in_the_specified_order() {
    let one = document(br#"{"zz":1,"version":"v1","aa":{"y":1,"x":2},"kind":"Spore"}"#).unwrap();
    let two = document(br#"{"kind":"Spore","aa":{"x":2,"y":1},"version":"v1","zz":1}"#).unwrap();
    assert_eq!(text(&one), text(&two));
    let text = String::from_utf8(text(&one)).unwrap();
    let at = |field: &str| text.find(&format!("\"{field}\"")).unwrap();
    assert!(at("kind") < at("version") && at("version") < at("aa") && at("aa") < at("zz"), "{text}");
}

#[test]
fn every_field_of_the_struct_is_in_the_written_order() {
    let schema = crate::schema();
    let mut properties: Vec<&String> =
        schema.get("properties").unwrap().as_object().unwrap().keys().collect();
    let mut fields = FIELDS.to_vec();
    properties.sort();
    fields.sort_unstable();
    assert_eq!(properties, fields);
}

#[test]
fn what_is_no_object_is_no_manifest() {
    assert_eq!(document(b"[]"), Err(ManifestError::NotAnObject));
    let large = vec![b' '; usize::try_from(MAX_MANIFEST_BYTES).unwrap() + 1];
    assert_eq!(document(&large), Err(ManifestError::TooLarge(MAX_MANIFEST_BYTES + 1)));
}
