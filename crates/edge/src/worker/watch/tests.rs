use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::{Phase, Watch, Watches};
use crate::config::Limits;

fn limits() -> Limits {
    Limits { min_rate: 1000, rate_grace: Duration::from_millis(100), ..Limits::default() }
}

fn is_expired(watch: &Rc<Watch>) -> bool {
    watch.expired(&Context::from_waker(Waker::noop()))
}

#[test]
fn a_deadline_is_met_at_the_tick_after_it() {
    let (watches, limits) = (Watches::default(), limits());
    let watch = watches.add(Phase::Head, 50, &limits);
    assert!(watches.tick(49, 10, &limits) && !is_expired(&watch));
    assert!(watches.tick(50, 1, &limits) && is_expired(&watch));
    watch.renew(Duration::ZERO);
    assert!(!is_expired(&watch));
    drop(watch);
    assert!(!watches.tick(60, 10, &limits), "nothing is left to watch");
}

#[test]
fn a_client_pays_with_bytes_for_the_time_it_takes() {
    let (watches, limits) = (Watches::default(), limits());
    let watch = watches.add(Phase::Client, 0, &limits);
    for i in 0..100 {
        watch.moved(10);
        watches.tick(i * 10, 10, &limits);
    }
    assert!(!is_expired(&watch), "ten bytes in ten milliseconds are enough");
    for i in 0..20 {
        watch.moved(4);
        watches.tick(1000 + i * 10, 10, &limits);
        assert_eq!(is_expired(&watch), i >= 14, "after {i} ticks");
    }
}

#[test]
fn a_workload_may_be_silent_for_as_long_as_it_is_patient() {
    let (watches, limits) = (Watches::default(), limits());
    let watch = watches.add(Phase::Upstream, 100, &limits);
    watch.patience(50);
    watches.tick(99, 10, &limits);
    watches.tick(148, 49, &limits);
    assert!(!is_expired(&watch));
    watch.turn(Phase::Client);
    watch.moved(50);
    watches.tick(180, 32, &limits);
    watch.turn(Phase::Upstream);
    watches.tick(229, 49, &limits);
    assert!(!is_expired(&watch), "its time begins after the client's turn");
    watches.tick(230, 1, &limits);
    assert!(is_expired(&watch));
}
