//! Requests and failures of each app as a log line, every ten seconds in which there were any.

use std::collections::BTreeMap;
use std::time::Duration;

use edge::Edge;
use types::AppName;

const EVERY: Duration = Duration::from_secs(10);

/// Logs until it is dropped.
pub(crate) async fn log(edge: Edge) {
    let mut before: BTreeMap<AppName, (u64, u64)> = BTreeMap::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        for (app, stats) in edge.stats().apps {
            let now = (stats.requests(), stats.errors());
            let was = before.insert(app.clone(), now).unwrap_or_default();
            if now != was {
                let p99_ms = stats.latency.quantile(0.99).as_secs_f64() * 1000.0;
                tracing::info!(%app, requests = now.0, errors_5xx = now.1, new_requests = now.0 - was.0,
                    new_errors_5xx = now.1 - was.1, p99_ms, "requests at the edge");
            }
        }
    }
}
