use proptest::prelude::*;
use types::Signer as _;

use super::*;

fn api(dir: &Path) -> Api {
    Api::new(dir, soul::SecretKey::generate().unwrap().public_key())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn status(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_committed_corpus_is_answered_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/local_api");
    let mut good = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let answer = run(api.connection(&bytes));
        good += usize::from(status(&answer) == "200");
    }
    assert!(good >= 3, "the corpus holds requests that are answered");
    assert_eq!(api.fabric().records().len(), 0);
}

#[test]
fn each_mistake_has_its_status_and_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let long = format!(
        "POST /v1/records HTTP/1.1\r\nhost: m\r\ncontent-length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    );
    let cases: [(&str, &str); 9] = [
        ("GET /v1/version HTTP/1.1\r\nhost: m\r\n\r\n", "200"),
        ("GET /v1/nothing HTTP/1.1\r\nhost: m\r\n\r\n", "404"),
        ("GET /v1/apps/none HTTP/1.1\r\nhost: m\r\n\r\n", "404"),
        ("GET /v1/apps/No%20Name HTTP/1.1\r\nhost: m\r\n\r\n", "400"),
        ("GET /v1/spores/123 HTTP/1.1\r\nhost: m\r\n\r\n", "400"),
        ("GET /v1/events?since=x HTTP/1.1\r\nhost: m\r\n\r\n", "400"),
        ("DELETE /v1/status HTTP/1.1\r\nhost: m\r\n\r\n", "405"),
        ("POST /v1/records HTTP/1.1\r\nhost: m\r\ncontent-length: 3\r\n\r\nabc", "400"),
        (&long, "413"),
    ];
    for (request, expected) in cases {
        let answer = run(api.connection(request.as_bytes()));
        assert_eq!(status(&answer), expected, "{request:.60} -> {}", String::from_utf8_lossy(&answer));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_break_it(line in "(GET|POST|PUT) /v1/[a-z/%0-9?=&{}]{0,40} HTTP/1.[01]", rest: Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let api = api(dir.path());
        let bytes = [line.as_bytes(), b"\r\nhost: m\r\n\r\n", &rest].concat();
        run(api.connection(&bytes));
        run(api.connection(&rest));
        prop_assert_eq!(api.fabric().records().len(), 0);
        prop_assert_eq!(status(&run(api.connection(b"GET /v1/version HTTP/1.1\r\nhost: m\r\n\r\n"))), "200");
    }
}
