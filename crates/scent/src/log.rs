//! Events, and what replicas wrote, as log records.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use prost::Message as _;
use serde::Deserialize;
use telemetry::context::{span_id, trace_id};

use crate::resource::{Attributes, any, resource, scope, text};

/// The longest line that is looked into.
const LOOKED_INTO: usize = 64 * 1024;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the usual levels")]
pub enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// One thing that was written or happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What.
    pub body: String,
    /// How bad it is, where that is known.
    pub severity: Option<Severity>,
    /// The kind of event it is, if it is one.
    pub event: Option<&'static str>,
    /// The trace and the span it belongs to.
    pub trace: Option<([u8; 16], Option<[u8; 8]>)>,
    /// What else is said of it.
    pub attributes: Attributes,
    /// Who says it; the node where absent. Those of one are sent together.
    pub of: Option<Arc<Attributes>>,
}

impl Record {
    /// A line that a workload wrote. If it is JSON, its `trace_id`, `span_id` and `level` are the record's.
    #[must_use]
    pub fn of_line(at: u64, line: String, of: Arc<Attributes>) -> Self {
        let fields = if line.starts_with('{') && line.len() <= LOOKED_INTO {
            serde_json::from_str::<Fields>(&line).unwrap_or_default()
        } else {
            Fields::default()
        };
        let trace = fields.trace_id.text().and_then(trace_id);
        let trace = trace.map(|trace| (trace, fields.span_id.text().and_then(span_id)));
        let severity = fields.level.text().or(fields.severity.text()).and_then(severity);
        Self { at, body: line, severity, event: None, trace, attributes: Vec::new(), of: Some(of) }
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(k, v)| k.len() + v.len() + 16).sum();
        self.body.len() + attributes + 128
    }
}

/// What a JSON line says of itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    trace_id: Loose,
    span_id: Loose,
    level: Loose,
    severity: Loose,
}

/// A text, or anything else, which is of no interest.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Loose {
    Text(String),
    #[default]
    Nothing,
    Other(serde::de::IgnoredAny),
}

impl Loose {
    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn severity(text: &str) -> Option<Severity> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Some(Severity::Trace),
        "debug" => Some(Severity::Debug),
        "info" | "notice" => Some(Severity::Info),
        "warn" | "warning" => Some(Severity::Warn),
        "error" | "err" => Some(Severity::Error),
        "fatal" | "critical" | "panic" => Some(Severity::Fatal),
        _ => None,
    }
}

pub(crate) fn request(attributes: &Attributes, records: &[Record]) -> Vec<u8> {
    let mut groups: Vec<(Option<&Arc<Attributes>>, Vec<LogRecord>)> = Vec::new();
    for one in records {
        let of = one.of.as_ref();
        let same = |group: &Option<&Arc<Attributes>>| match (group, of) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        match groups.iter_mut().find(|(group, _)| same(group)) {
            Some((_, records)) => records.push(record(one)),
            None => groups.push((of, vec![record(one)])),
        }
    }
    let of_group = |(of, log_records): (Option<&Arc<Attributes>>, Vec<LogRecord>)| {
        let resource = resource(of.map_or(attributes, |of| of));
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
        ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }
    };
    let resource_logs = groups.into_iter().map(of_group).collect();
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// How many of a request the collector didn't take.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let partial = ExportLogsServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_log_records).unwrap_or(0))
}

fn record(record: &Record) -> LogRecord {
    let at = record.at.saturating_mul(1_000_000);
    let (severity_number, severity_text) = match record.severity {
        None => (SeverityNumber::Unspecified, ""),
        Some(Severity::Trace) => (SeverityNumber::Trace, "TRACE"),
        Some(Severity::Debug) => (SeverityNumber::Debug, "DEBUG"),
        Some(Severity::Info) => (SeverityNumber::Info, "INFO"),
        Some(Severity::Warn) => (SeverityNumber::Warn, "WARN"),
        Some(Severity::Error) => (SeverityNumber::Error, "ERROR"),
        Some(Severity::Fatal) => (SeverityNumber::Fatal, "FATAL"),
    };
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at,
        severity_number: severity_number as i32,
        severity_text: severity_text.to_owned(),
        body: Some(any(Value::StringValue(record.body.clone()))),
        attributes: record.attributes.iter().map(|(key, value)| text(key, value.as_str())).collect(),
        trace_id: record.trace.map(|(trace, _)| trace.to_vec()).unwrap_or_default(),
        span_id: record.trace.and_then(|(_, span)| span).map(|span| span.to_vec()).unwrap_or_default(),
        event_name: record.event.unwrap_or_default().to_owned(),
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests;
