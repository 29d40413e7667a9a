//! How fast it is, here and now: `cargo test --release -p agent --test it figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use telemetry::EventKind;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing"]
async fn from_a_plan_to_a_ready_replica() {
    let rig = Rig::new(1).await;
    let mut took: Vec<Duration> = Vec::new();
    for round in 0..30 {
        let name = format!("app-{round}");
        let release = rig.service(&name, "v1");
        let began = Instant::now();
        rig.plan(&name, &release, 1);
        rig.serves(&name, &release, 1).await;
        took.push(began.elapsed());
    }
    took.sort();
    println!("plan to ready: p50 {:?}, p90 {:?}, most {:?}", took[15], took[27], took[29]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing"]
async fn many_replicas() {
    let rig = Rig::new(3).await;
    let release = rig.service("billing", "v1");
    let began = Instant::now();
    rig.plan("billing", &release, 200);
    rig.serves("billing", &release, 200).await;
    println!("200 replicas: {:?}, {} launches", began.elapsed(), rig.count(EventKind::LaunchStart));
    let began = Instant::now();
    rig.stop().await;
    println!("stopped: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing"]
async fn from_a_kill_to_a_ready_replica() {
    let rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 1);
    let mut took: Vec<Duration> = Vec::new();
    let mut pid = rig.serves("billing", &release, 1).await[0].pid.unwrap();
    for _ in 0..8 {
        // A replica that has lived for a while starts with a clean record; one restart comes at once anyway.
        rig.plan("billing", &genome::Release { restart: u64::from(pid), ..release.clone() }, 1);
        let fresh = genome::Release { restart: u64::from(pid), ..release.clone() };
        let before = rig.serves("billing", &fresh, 1).await[0].pid.unwrap();
        let began = Instant::now();
        crate::launching::kill(before);
        pid = rig
            .until("a restart", |view| {
                let mut ready = view.endpoints().filter(|endpoint| endpoint.is_ready());
                ready.find_map(|endpoint| endpoint.pid.filter(|pid| *pid != before))
            })
            .await;
        took.push(began.elapsed());
    }
    took.sort();
    println!("kill to ready: p50 {:?}, most {:?}", took[4], took[7]);
    rig.stop().await;
}
