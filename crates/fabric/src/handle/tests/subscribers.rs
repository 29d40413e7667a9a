//! Subscribers: slow, late, many, gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::*;

const APPS: [&str; 5] = ["a", "b", "c", "d", "e"];
const GENERATIONS: u64 = 40;

/// The least executor there can be: the subscriptions need no more.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Publishes all generations of all apps, then removes the last app's plan.
fn publish_all(fabric: &crate::Fabric) {
    for generation in 1..=GENERATIONS {
        for name in APPS {
            let record = if (generation, name) == (GENERATIONS, "e") {
                removal(Kind::Plan, name, generation)
            } else {
                plan_record(generation, &plan(name, 1))
            };
            fabric.submit(record, now()).unwrap();
        }
    }
}

/// What is known after `changes`, once it is what it must be in the end.
#[derive(Default)]
struct Known(BTreeMap<types::AppName, u64>);

impl Known {
    fn learn(&mut self, change: PlanChange) -> bool {
        match change {
            PlanChange::Published(entry) => {
                let before = self.0.insert(entry.value.app_name.clone(), entry.generation);
                assert!(before < Some(entry.generation), "never backwards, never twice");
            }
            PlanChange::Removed(app) => assert!(self.0.remove(&app).is_some(), "{app} was not there"),
        }
        self.0.len() == APPS.len() - 1 && self.0.values().all(|generation| *generation == GENERATIONS)
    }
}

#[test]
fn every_subscriber_learns_the_latest_plan_of_every_app_by_thread_and_by_future() {
    let fabric = fabric();
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut plans = fabric.subscribe_plans();
            scope.spawn(move || {
                let mut known = Known::default();
                while !known.learn(plans.wait(SOON).expect("news before long")) {}
            });
            let mut plans = fabric.subscribe_plans();
            scope.spawn(move || {
                let mut known = Known::default();
                while !known.learn(block_on(plans.next())) {}
            });
        }
        publish_all(&fabric);
    });
    assert!(start.elapsed() < SOON, "woken, not timed out");
    let mut late = fabric.subscribe_plans();
    let mut known = Known::default();
    let told = std::iter::from_fn(|| late.try_next()).map(|change| known.learn(change)).collect::<Vec<_>>();
    assert_eq!(told, [false, false, false, true], "one of each app, whatever happened before");
}

#[test]
fn a_slow_subscriber_is_told_once_of_many_changes() {
    let fabric = fabric();
    let mut changes = fabric.subscribe();
    assert_eq!(changes.wait(Duration::ZERO), None);
    publish_all(&fabric);
    let version = fabric.view().version;
    assert_eq!(changes.wait(SOON), Some(version));
    assert_eq!(changes.wait(Duration::ZERO), None);
    let mut late = fabric.subscribe();
    assert_eq!(block_on(late.changed()), version, "what was there before counts");
}

#[test]
fn a_plan_that_came_and_went_unseen_is_no_news() {
    let fabric = fabric();
    let mut plans = fabric.subscribe_plans();
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    fabric.remove_plan(removal(Kind::Plan, "billing", 2), now()).unwrap();
    assert_eq!(plans.try_next(), None);
}

#[test]
fn subscribers_that_are_dropped_are_forgotten() {
    let fabric = fabric();
    let mut context = Context::from_waker(Waker::noop());
    let mut stays = fabric.subscribe();
    let mut goes = fabric.subscribe();
    assert!(stays.poll_changed(&mut context).is_pending());
    assert!(goes.poll_changed(&mut context).is_pending());
    assert_eq!(fabric.watch().waiting(), 2);
    drop(goes);
    assert_eq!(fabric.watch().waiting(), 1);
    fabric.publish_plan(plan_record(1, &plan("billing", 2)), now()).unwrap();
    assert_eq!(fabric.watch().waiting(), 0);
    assert!(stays.poll_changed(&mut context).is_ready());
    assert!(stays.poll_changed(&mut context).is_pending());
}
