//! The names of all metrics (Prometheus naming conventions: base units, `_total` for counters).

/// Requests that an edge answered, by `app` and status class (`code` = `2xx` … `5xx`).
pub const EDGE_REQUESTS: &str = "mycelium_edge_requests_total";
/// Time from a request's head to the end of its response, in seconds, by `app`.
pub const EDGE_LATENCY: &str = "mycelium_edge_request_duration_seconds";
/// Requests that are open at this moment, by `app`.
pub const EDGE_OPEN: &str = "mycelium_edge_open_requests";
/// Requests tried again at another endpoint, by `app`.
pub const EDGE_RETRIES: &str = "mycelium_edge_retries_total";
/// Client connections that are open at this moment.
pub const EDGE_CONNECTIONS: &str = "mycelium_edge_connections";
/// Replicas by `app`, `node` and `state`.
pub const REPLICAS: &str = "mycelium_replicas";
/// Restarts of replicas by `app` and `node`.
pub const RESTARTS: &str = "mycelium_replica_restarts_total";
