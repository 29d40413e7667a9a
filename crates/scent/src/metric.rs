//! Counters as they are shown to whoever scrapes them (Prometheus text, 0.0.4), read back and told as OTLP metrics: so
//! there is one list of them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use prost::Message as _;

use crate::resource::{Attributes, resource, scope, text};

/// Everything is counted from the start on.
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// When counting began and when it was looked, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub start: u64,
    pub now: u64,
}

/// The request, and how many metrics are in it. A line that isn't understood is left out.
pub(crate) fn request(attributes: &Attributes, exposed: &str, time: Time) -> (Vec<u8>, usize) {
    let metrics = metrics(exposed, time);
    let count = metrics.len();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let of_us =
        ResourceMetrics { resource: Some(resource(attributes)), scope_metrics, ..ResourceMetrics::default() };
    (ExportMetricsServiceRequest { resource_metrics: vec![of_us] }.encode_to_vec(), count)
}

/// How many of a request the collector didn't take.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let partial = ExportMetricsServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_data_points).unwrap_or(0))
}

/// A family of lines: `# HELP`, `# TYPE`, then its samples.
#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample<'a>>,
}

struct Sample<'a> {
    /// What the name has beside the family's: `_bucket`, `_sum`, `_count` or nothing.
    part: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

fn metrics(exposed: &str, time: Time) -> Vec<Metric> {
    let mut all = Vec::new();
    let mut family = Family::default();
    for line in exposed.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let rest = words.next().unwrap_or_default();
            if name != family.name {
                all.extend(std::mem::replace(&mut family, Family { name, ..Family::default() }).end(time));
            }
            match what {
                "HELP" => family.help = rest,
                "TYPE" => family.kind = rest,
                _ => {}
            }
        } else if let Some(sample) = sample(line, family.name) {
            family.samples.push(sample);
        }
    }
    all.extend(family.end(time));
    all
}

/// `name{label="value",…} number`, of the family `name`.
fn sample<'a>(line: &'a str, family: &str) -> Option<Sample<'a>> {
    let rest = line.strip_prefix(family).filter(|_| !family.is_empty())?;
    let end = rest.find(['{', ' '])?;
    let (part, mut rest) = rest.split_at(end);
    if !matches!(part, "" | "_bucket" | "_sum" | "_count") {
        return None;
    }
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches(',');
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(name, value);
            rest = after;
        }
    }
    // A time stamp may stand behind the value.
    let value = rest.split_ascii_whitespace().next()?;
    let value = value.parse().ok()?;
    Some(Sample { part, labels, value })
}

/// What stands before the closing quote, without its escapes, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => out.push(c),
        }
    }
    None
}

impl Family<'_> {
    fn end(self, time: Time) -> Option<Metric> {
        if self.samples.is_empty() {
            return None;
        }
        let data = match self.kind {
            "counter" => {
                let data_points = self.samples.iter().map(|sample| point(sample, time)).collect();
                Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true })
            }
            "histogram" => {
                let data_points = histograms(&self.samples, time);
                Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE })
            }
            // What it is at this moment has no beginning.
            _ => Data::Gauge(Gauge {
                data_points: self.samples.iter().map(|s| point(s, Time { start: 0, ..time })).collect(),
            }),
        };
        let unit = [("_seconds", "s"), ("_bytes_total", "By"), ("_bytes", "By")];
        let unit = unit.into_iter().find(|(end, _)| self.name.ends_with(end)).map_or("", |(_, unit)| unit);
        let (name, description) = (self.name.to_owned(), self.help.to_owned());
        Some(Metric { name, description, unit: unit.to_owned(), data: Some(data), ..Metric::default() })
    }
}

fn attributes(labels: &BTreeMap<&str, String>) -> Vec<KeyValue> {
    let of_point = labels.iter().filter(|(name, _)| **name != "le");
    of_point.map(|(name, value)| text(name, value.as_str())).collect()
}

fn point(sample: &Sample, time: Time) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: time.start,
        time_unix_nano: time.now,
        value: Some(number(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// A whole number where it is one, as far as floats are exact.
#[expect(clippy::cast_possible_truncation, reason = "looked at before")]
fn number(value: f64) -> Value {
    let exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    if exact { Value::AsInt(value as i64) } else { Value::AsDouble(value) }
}

/// One point for each set of labels, from its buckets, its sum and its count.
fn histograms(samples: &[Sample], time: Time) -> Vec<HistogramDataPoint> {
    let mut points: Vec<(Vec<KeyValue>, HistogramDataPoint)> = Vec::new();
    for sample in samples {
        let of = attributes(&sample.labels);
        let found = points.iter().position(|(labels, _)| *labels == of);
        let at = found.unwrap_or_else(|| {
            let fresh = HistogramDataPoint {
                attributes: of.clone(),
                start_time_unix_nano: time.start,
                time_unix_nano: time.now,
                ..HistogramDataPoint::default()
            };
            points.push((of, fresh));
            points.len() - 1
        });
        let point = &mut points[at].1;
        match sample.part {
            "_sum" => point.sum = Some(sample.value),
            "_count" => point.count = count(sample.value),
            _ => {
                let bound = sample.labels.get("le").and_then(|le| le.parse::<f64>().ok());
                // The last one, +Inf, has no bound.
                point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
                point.bucket_counts.push(count(sample.value));
            }
        }
    }
    // Prometheus counts all below a bound, OTLP those since the bound before.
    for (_, point) in &mut points {
        let mut below = 0;
        for bucket in &mut point.bucket_counts {
            let all = *bucket;
            *bucket = all.saturating_sub(below);
            below = all;
        }
    }
    points.into_iter().map(|(_, point)| point).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, and floats saturate")]
fn count(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests;
