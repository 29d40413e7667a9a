use http::HeaderMap;

use super::{Added, for_client, for_workload};
use crate::table::Protocol;

const ADDED: Added = Added { id: b"id", stamp: b"now", peer: "192.0.2.1", scheme: "https", authority: "h:1" };

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

#[test]
fn a_workload_gets_what_it_can_read() {
    let sent = [
        ("te", "trailers"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-mycelium-edge", "forged"),
        ("connection", "x-listed"),
        ("x-listed", "1"),
        ("expect", "100-continue"),
        ("proxy", "p"),
        ("host", "h:1"),
    ];
    let mut to_1 = map(&sent);
    for_workload(&mut to_1, Protocol::Http1, &ADDED);
    let wanted = [
        ("cookie", "a=1; b=2"),
        ("x-forwarded-for", "1.1.1.1, 2.2.2.2, 192.0.2.1"),
        ("x-mycelium-edge", "now"),
        ("host", "h:1"),
        ("x-request-id", "id"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "h:1"),
    ];
    assert_eq!(to_1, map(&wanted));
    let mut to_2 = map(&sent);
    for_workload(&mut to_2, Protocol::H2c, &ADDED);
    assert!(!to_2.contains_key("host") && to_2["te"] == "trailers");
    assert_eq!(to_2.get_all("cookie").iter().count(), 2);
}

#[test]
fn a_client_gets_nothing_of_one_hop() {
    let mut fields = map(&[
        ("connection", "close, x-y"),
        ("x-y", "1"),
        ("keep-alive", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-request-id", "theirs"),
        ("content-length", "3"),
    ]);
    for_client(&mut fields, b"id", b"now");
    assert_eq!(fields, map(&[("x-request-id", "id"), ("x-mycelium-edge", "now"), ("content-length", "3")]));
}
