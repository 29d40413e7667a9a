//! The names of all metrics (Prometheus naming conventions: base units, `_total` for counters).

/// Requests that an edge answered, by `app` and status class (`code` = `2xx` … `5xx`).
pub const EDGE_REQUESTS: &str = "mycelium_edge_requests_total";
/// Time from a request's head to the end of its response, in seconds, by `app`.
pub const EDGE_LATENCY: &str = "mycelium_edge_request_duration_seconds";
/// Requests that are open at this moment, by `app`.
pub const EDGE_OPEN: &str = "mycelium_edge_open_requests";
/// Requests that are held until a replica of their `app`, which sleeps, is ready.
pub const EDGE_HELD: &str = "mycelium_edge_held_requests";
/// Requests that took longer than the budget of their `app`, or ended with a 5xx: they use up its error budget.
pub const SLO_BAD: &str = "mycelium_slo_bad_requests_total";
/// How many times as fast as it may be the error budget of an `app` is used up at this edge, over a `window`: 1 uses it
/// up exactly, 14.4 over an hour 2 % of that of a month.
pub const SLO_BURN: &str = "mycelium_slo_burn_rate";
/// Requests tried again at another endpoint, by `app`.
pub const EDGE_RETRIES: &str = "mycelium_edge_retries_total";
/// Client connections that are open at this moment.
pub const EDGE_CONNECTIONS: &str = "mycelium_edge_connections";
/// Replicas by `app`, `node` and `state`.
pub const REPLICAS: &str = "mycelium_replicas";
/// Restarts of replicas by `app` and `node`.
pub const RESTARTS: &str = "mycelium_replica_restarts_total";
/// Bytes of the network layer that a replica received, by `app`, `node` and `replica`; so are those that follow.
pub const RECEIVED: &str = "mycelium_replica_network_receive_bytes_total";
/// Bytes of the network layer that a replica sent.
pub const SENT: &str = "mycelium_replica_network_transmit_bytes_total";
/// TCP connections that a replica asked for and got.
pub const CONNECTS: &str = "mycelium_replica_connects_total";
/// TCP connections that others made to a replica.
pub const ACCEPTS: &str = "mycelium_replica_accepts_total";
/// Connections, datagrams, ports and sockets that a replica was refused.
pub const REFUSALS: &str = "mycelium_replica_refusals_total";
/// Programs that a replica executed.
pub const EXECS: &str = "mycelium_replica_execs_total";
/// Processes of a replica that ended.
pub const EXITS: &str = "mycelium_replica_exits_total";
/// What was counted of a replica and not told one by one.
pub const UNTOLD: &str = "mycelium_replica_untold_total";
/// Seconds of a CPU that a replica used.
pub const CPU: &str = "mycelium_replica_cpu_seconds_total";
/// Bytes of memory of a replica.
pub const MEMORY: &str = "mycelium_replica_memory_bytes";
/// The most that it may have.
pub const MEMORY_LIMIT: &str = "mycelium_replica_memory_limit_bytes";
/// Processes and threads of a replica.
pub const PIDS: &str = "mycelium_replica_pids";
/// Seconds of a CPU that an `app` has left on a `node` of what it didn't use.
pub const CREDITS: &str = "mycelium_app_credit_seconds";
/// CPUs that an `app` gets on a `node` while they are wanted by more than there are.
pub const WEIGHT: &str = "mycelium_app_cpu_weight";

/// Spans, metrics and log records that a collector took over OTLP, by `signal`; so are those that follow.
pub const OTLP_SENT: &str = "mycelium_otlp_sent_total";
/// What the collector never will have: there was no room for it, or it was refused.
pub const OTLP_DROPPED: &str = "mycelium_otlp_dropped_total";
/// Requests to the collector that failed.
pub const OTLP_FAILURES: &str = "mycelium_otlp_failures_total";

#[cfg(test)]
mod tests;
