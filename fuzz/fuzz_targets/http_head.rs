//! Any bytes as a request: what is accepted, httparse (hyper's parser) reads the same, and it is forwarded as one request.

#![no_main]

use edge::http1::{CLIENT_LINES, WORKLOAD_LINES, read_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(Some(reading)) = read_request(data, CLIENT_LINES) else { return };
    let skipped = if data.starts_with(b"\r\n") { 2 } else { 0 };
    let mut fields = [httparse::EMPTY_HEADER; CLIENT_LINES];
    let mut other = httparse::Request::new(&mut fields);
    assert!(matches!(other.parse(&data[skipped..]), Ok(httparse::Status::Complete(_))));
    assert_eq!(other.method.map(str::as_bytes), Some(&reading.method[..]));
    assert_eq!(other.path.map(str::as_bytes), Some(&reading.target[..]));
    assert_eq!(other.version, Some(reading.minor));
    assert_eq!(other.headers.len(), reading.fields.len());
    for (other, (name, value)) in other.headers.iter().zip(&reading.fields) {
        assert_eq!((other.name.as_bytes(), other.value), (&name[..], &value[..]));
    }
    let again = read_request(&reading.forwarded, WORKLOAD_LINES).unwrap().unwrap();
    assert_eq!(again.len, reading.forwarded.len());
    assert_eq!((again.method, again.body), (reading.method, reading.body));
});
