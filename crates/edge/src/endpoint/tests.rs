use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::Endpoint;
use crate::table::{Protocol, Target};

fn endpoint(workers: usize) -> Arc<Endpoint> {
    let target = Target {
        id: "e".to_owned(),
        reach: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        protocol: Protocol::Http1,
        far: false,
    };
    Arc::new(Endpoint::new(&target, workers))
}

/// Many threads enter and leave as fast as they can while another drains: once the drain is over none is inside.
#[test]
fn a_drain_is_exact() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..200 {
        let endpoint = endpoint(4);
        let drained = Arc::new(AtomicBool::new(false));
        let inside = Arc::new(AtomicUsize::new(0));
        let began = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|worker| {
                let (endpoint, drained, inside, began) =
                    (endpoint.clone(), drained.clone(), inside.clone(), began.clone());
                std::thread::spawn(move || {
                    while endpoint.enter(worker) {
                        inside.fetch_add(1, Ordering::SeqCst);
                        began.fetch_add(1, Ordering::SeqCst);
                        assert!(!drained.load(Ordering::SeqCst), "a request is open after the drain");
                        inside.fetch_sub(1, Ordering::SeqCst);
                        endpoint.leave(worker);
                    }
                })
            })
            .collect();
        while began.load(Ordering::SeqCst) < 50 {
            std::hint::spin_loop();
        }
        endpoint.drain();
        runtime.block_on(endpoint.emptied());
        drained.store(true, Ordering::SeqCst);
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(endpoint.open(), 0);
    }
}

#[test]
fn one_that_fails_is_probed_by_one_and_less_and_less_often() {
    let endpoint = endpoint(1);
    assert!(!endpoint.is_aside());
    assert!(endpoint.set_aside(), "the first to see it probes");
    assert!(!endpoint.set_aside(), "the second doesn't");
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        endpoint.probe_failed();
        assert!(endpoint.pause() >= last && endpoint.pause() <= Duration::from_secs(5));
        last = endpoint.pause();
    }
    assert_eq!(last, Duration::from_secs(5));
    endpoint.put_back();
    assert!(!endpoint.is_aside() && endpoint.pause() == last, "a probe proves little");
    endpoint.worked();
    assert_eq!(endpoint.pause(), Duration::from_millis(50));
}
