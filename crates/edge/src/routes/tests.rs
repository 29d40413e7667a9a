use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use types::AppName;

use super::Routes;
use crate::table::{Balance, Protocol, Table, Target};

fn table(ids: &[(&str, u16)]) -> Table {
    let of = |&(id, port): &(&str, u16)| Target {
        id: id.to_owned(),
        reach: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
        protocol: Protocol::Http1,
        far: false,
    };
    let apps = BTreeMap::from([(AppName::new("app").unwrap(), ids.iter().map(of).collect())]);
    Table { apps, balance: Balance::RoundRobin, ..Table::default() }
}

fn is_ready(future: impl Future<Output = ()>) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn endpoints_that_stay_are_the_same_and_those_that_leave_drain() {
    let routes = Routes::new(2);
    routes.set(&table(&[("a", 1), ("b", 2)]));
    let before = routes.snapshot();
    routes.set(&table(&[("b", 2), ("c", 3), ("a", 9)]));
    let after = routes.snapshot();
    let (a, b) = (&before.apps[0].endpoints[0], &before.apps[0].endpoints[1]);
    assert!(std::sync::Arc::ptr_eq(b, &after.apps[0].endpoints[0]) && !b.is_draining());
    assert!(a.is_draining(), "it has another address now");
    assert!(!after.apps[0].endpoints[2].is_draining());
    assert_eq!(after.version, before.version + 1);
    routes.set(&Table::default());
    assert!(b.is_draining());
    assert!(routes.apps().is_empty());
    assert_eq!(routes.app_stats().len(), 1, "its counters stay");
}

#[test]
fn a_drain_waits_for_those_that_left_the_table_too() {
    let routes = Routes::new(1);
    routes.set(&table(&[("a", 1)]));
    let endpoint = routes.snapshot().apps[0].endpoints[0].clone();
    assert!(endpoint.enter(0));
    routes.set(&table(&[("b", 2)]));
    assert!(!endpoint.enter(0));
    assert!(!is_ready(routes.drained("a")));
    endpoint.leave(0);
    assert!(is_ready(routes.drained("a")));
    assert!(is_ready(routes.drained("b")) && is_ready(routes.drained("unknown")));
    assert!(!routes.snapshot().apps[0].endpoints[0].enter(0), "drained while in the table");
}

#[test]
fn one_that_never_left_the_table_serves_again_once_its_drain_is_taken_back() {
    let routes = Routes::new(1);
    routes.set(&table(&[("a", 1)]));
    drop(routes.drained("a"));
    routes.set(&table(&[("a", 1)]));
    let endpoint = routes.snapshot().apps[0].endpoints[0].clone();
    assert!(!endpoint.enter(0), "whoever drains it may not have finished");
    routes.resumed("a");
    assert!(endpoint.enter(0));
    routes.resumed("unknown");
}

#[test]
fn an_id_that_stands_twice_counts_once() {
    let routes = Routes::new(1);
    routes.set(&table(&[("a", 1), ("a", 1)]));
    assert_eq!(routes.apps().into_values().collect::<Vec<_>>(), [1]);
}
