use fabric::Record;
use genome::{Plan, Release};
use types::{AppName, Digest, Signer as _, Timestamp};

use crate::fuzzing::Api;

#[test]
fn what_the_api_says_of_an_app_is_routed_already() {
    let dir = tempfile::tempdir().unwrap();
    let operator = soul::SecretKey::generate().unwrap();
    let api = Api::new(dir.path(), operator.public_key());
    // Nothing follows the records there but the answers themselves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let publish = |name: &str| {
        let release: Release =
            serde_json::from_value(serde_json::json!({ "digest": Digest::from_bytes([7; 32]) })).unwrap();
        let plan = Plan::new(AppName::new(name).unwrap(), release, 1);
        let record = Record::plan(api.fabric().mesh(), 1, &plan, &operator).unwrap();
        api.fabric().publish_plan(record, Timestamp::from_secs(1)).unwrap();
    };
    let routed = || api.edge().routes().apps().into_keys().map(|app| app.to_string()).collect::<Vec<_>>();
    let asks = [("first", "/v1/status"), ("second", "/v1/apps/second"), ("third", "/v1/apps/third/why")];
    for (name, path) in asks {
        publish(name);
        assert!(!routed().contains(&name.to_owned()));
        let request = format!("GET {path} HTTP/1.1\r\nhost: m\r\n\r\n");
        let answer = runtime.block_on(api.connection(request.as_bytes()));
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert!(routed().contains(&name.to_owned()), "{path}");
    }
    assert_eq!(api.edge().routes().apps().into_values().collect::<Vec<_>>(), [0; 3]);
}
