use std::time::Duration;

use super::{AppStats, BUCKETS, Histogram, Shard, Stats, bucket_of};

#[test]
fn buckets_rise_and_their_bounds_hold() {
    let mut last = 0;
    for micros in (0..5_000).chain((1..40).map(|n| 1 << n)).chain([u64::MAX]) {
        let bucket = bucket_of(micros);
        assert!(bucket < BUCKETS && (bucket >= last || micros < 5_001), "{micros}");
        last = bucket;
        if (2..1 << 29).contains(&micros) {
            let mut histogram = Histogram::default();
            histogram.add_bucket(bucket, 1);
            let bound = u64::try_from(histogram.quantile(0.5).as_micros()).unwrap();
            assert!(bound > micros && bound <= micros + micros / 4 + 2, "{micros} is bounded by {bound}");
        }
    }
}

#[test]
fn shards_add_up() {
    let shards = [Shard::default(), Shard::default()];
    for (i, millis) in [1_u64, 2, 4, 8, 100].into_iter().enumerate() {
        let shard = &shards[i % 2];
        shard.start();
        shard.end(if i == 4 { 503 } else { 200 }, Duration::from_millis(millis), 100_000);
    }
    shards[1].start();
    shards[1].retry();
    let all = AppStats::sum(&shards);
    assert_eq!((all.requests(), all.errors(), all.open, all.retries), (5, 1, 1, 1));
    assert_eq!((all.latency.count(), all.latency.sum()), (5, Duration::from_millis(115)));
    assert!(all.latency.quantile(0.99) >= Duration::from_millis(100));
    assert!(all.latency.quantile(0.5) < Duration::from_millis(6));
}

#[test]
fn prometheus_text() {
    let shard = Shard::default();
    shard.start();
    shard.end(200, Duration::from_micros(100), u64::MAX);
    let mut stats = Stats { unrouted: 3, connections: 2, ..Stats::default() };
    stats.apps.insert(types::AppName::new("billing").unwrap(), AppStats::sum(&[shard]));
    let mut text = String::new();
    stats.prometheus(&mut text);
    for line in [
        "# TYPE mycelium_edge_requests_total counter",
        "mycelium_edge_requests_total{app=\"billing\",code=\"2xx\"} 1",
        "mycelium_edge_requests_total{app=\"\",code=\"4xx\"} 3",
        "mycelium_edge_request_duration_seconds_bucket{app=\"billing\",le=\"0.000064\"} 0",
        "mycelium_edge_request_duration_seconds_bucket{app=\"billing\",le=\"0.000128\"} 1",
        "mycelium_edge_request_duration_seconds_bucket{app=\"billing\",le=\"+Inf\"} 1",
        "mycelium_edge_request_duration_seconds_sum{app=\"billing\"} 0.0001",
        "mycelium_edge_request_duration_seconds_count{app=\"billing\"} 1",
        "mycelium_edge_open_requests{app=\"billing\"} 0",
        "mycelium_edge_connections 2",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    let mut seen = std::collections::BTreeSet::new();
    assert!(text.lines().filter(|l| !l.starts_with('#')).all(|l| seen.insert(l.rsplit_once(' ').unwrap().0)));
}
