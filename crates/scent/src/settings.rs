//! What is told to whom, as OpenTelemetry's environment variables say it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use telemetry::{BadSampler, Sampler};

use crate::Kind;
use crate::endpoint::{Endpoint, shown};

/// Attributes or headers that are taken from one variable.
const MOST: usize = 64;

/// How a node tells of itself.
#[derive(Clone)]
pub struct Settings {
    /// The collector.
    pub endpoint: Endpoint,
    /// What each request carries, a key perhaps.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Authorities (PEM) that the collector's certificate may be of, if not those of the system.
    pub certificate: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often counters are told.
    pub interval: Duration,
    /// Which requests are recorded.
    pub sampler: Sampler,
    /// What is said of the node besides what it says itself.
    pub attributes: Vec<(String, String)>,
    /// What isn't told.
    pub without: Vec<Kind>,
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The collector's address.
    #[error("use {0:?} as the collector's address: {1}; write it like http://127.0.0.1:4317")]
    Endpoint(String, String),
    /// The protocol.
    #[error("use OTEL_EXPORTER_OTLP_PROTOCOL {0:?}: there are grpc and http/protobuf")]
    Protocol(String),
    /// The sampler.
    #[error("use OTEL_TRACES_SAMPLER: {0}")]
    Sampler(#[from] BadSampler),
    /// Another variable.
    #[error("use {0}: {1}")]
    Variable(&'static str, String),
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold keys.
        let Self { endpoint, interval, sampler, .. } = self;
        write!(f, "Settings {{ {endpoint}, every {interval:?}, {sampler:?}, .. }}")
    }
}

impl Settings {
    /// Reads them from the environment; `endpoint` comes before what that says. `None` when there is no collector.
    pub fn read(
        endpoint: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadSettings> {
        // A variable that is empty is none.
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is =
            |name: &str, value: &str| variable(name).is_some_and(|v| v.trim().eq_ignore_ascii_case(value));
        let endpoint = endpoint.map(str::to_owned).or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let Some(endpoint) = endpoint.filter(|_| !is("OTEL_SDK_DISABLED", "true")) else { return Ok(None) };
        let protocol = variable("OTEL_EXPORTER_OTLP_PROTOCOL");
        let (sampler, argument) = (variable("OTEL_TRACES_SAMPLER"), variable("OTEL_TRACES_SAMPLER_ARG"));
        let millis = |name, usual| match variable(name) {
            None => Ok(Duration::from_millis(usual)),
            Some(text) => match text.trim().parse() {
                Ok(millis @ 1..=86_400_000) => Ok(Duration::from_millis(millis)),
                _ => Err(BadSettings::Variable(
                    name,
                    format!("{:?} is no number of milliseconds", shown(&text)),
                )),
            },
        };
        let attributes = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = pairs(attributes, &variable(attributes).unwrap_or_default())?;
        attributes.extend(variable("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name)));
        let without = [
            ("OTEL_TRACES_EXPORTER", Kind::Traces),
            ("OTEL_METRICS_EXPORTER", Kind::Metrics),
            ("OTEL_LOGS_EXPORTER", Kind::Logs),
        ];
        Ok(Some(Self {
            endpoint: Endpoint::read(endpoint.trim(), protocol.as_deref().map(str::trim))?,
            headers: headers(&variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default())?,
            certificate: variable("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from),
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
            interval: millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            sampler: Sampler::read(sampler.as_deref().map(str::trim), argument.as_deref())?,
            attributes,
            without: without.into_iter().filter(|(name, _)| is(name, "none")).map(|(_, kind)| kind).collect(),
        }))
    }
}

fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, BadSettings> {
    let name = "OTEL_EXPORTER_OTLP_HEADERS";
    // Neither key nor value is shown: a mistake may have put one in the place of the other.
    let wrong = |n: usize| BadSettings::Variable(name, format!("its entry {} is no header", n + 1));
    let read = |(n, (key, value)): (usize, (String, String))| {
        let header = HeaderName::from_bytes(key.to_ascii_lowercase().as_bytes()).map_err(|_| wrong(n))?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong(n))?;
        value.set_sensitive(true);
        Ok((header, value))
    };
    pairs(name, text)?.into_iter().enumerate().map(read).collect()
}

/// `name=value,name=value`, values percent-encoded (W3C Baggage).
fn pairs(name: &'static str, text: &str) -> Result<Vec<(String, String)>, BadSettings> {
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > MOST {
        return Err(BadSettings::Variable(name, format!("it has more than {MOST} entries")));
    }
    let read = |(n, entry): (usize, &&str)| {
        let pair = entry.split_once('=').map(|(key, value)| (key.trim(), decoded(value.trim())));
        match pair {
            Some((key, Some(value))) if !key.is_empty() => Ok((key.to_owned(), value)),
            _ => {
                Err(BadSettings::Variable(name, format!("its entry {} is not of the form name=value", n + 1)))
            }
        }
    };
    entries.iter().enumerate().map(read).collect()
}

/// Percent-decoded; `None` when that isn't what it is.
fn decoded(text: &str) -> Option<String> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
