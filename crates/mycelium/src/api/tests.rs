use std::path::Path;

use super::*;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_openapi_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == now, "docs/openapi.json is stale: run `UPDATE=1 cargo test -p mycelium openapi`");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = openapi();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for reference in references {
        assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
        count += 1;
    }
    assert!(count > 20, "{count}");
    let query = &document["paths"]["/v1/events"]["get"]["parameters"];
    assert_eq!(query.as_array().map(Vec::len), Some(4), "{query}");
}
