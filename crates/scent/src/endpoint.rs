//! Where a collector is, and how it is spoken to.

use std::fmt;

use http::Uri;

use crate::settings::BadSettings;

/// The port of OTLP over gRPC.
const GRPC: u16 = 4317;
/// The port of OTLP over HTTP.
const HTTP: u16 = 4318;

/// The protocol, as OpenTelemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    Http,
}

/// A collector's address: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether with TLS.
    pub tls: bool,
    /// A name or an address; an IPv6 one without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What stands before `/v1/…`; without a slash at its end.
    pub base: String,
    /// How it is spoken to.
    pub protocol: Protocol,
}

impl Endpoint {
    /// Reads an address. Without a protocol it is gRPC, but on the port of the other.
    pub fn read(text: &str, protocol: Option<&str>) -> Result<Self, BadSettings> {
        let wrong = |why: &str| BadSettings::Endpoint(shown(text), why.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it begins neither with http:// nor with https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a password doesn't belong into it; use OTEL_EXPORTER_OTLP_HEADERS"));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => {
                let port = digits.parse().ok().filter(|port| *port != 0);
                Some(port.ok_or_else(|| wrong("its port is not a number from 1 to 65535"))?)
            }
            _ => None,
        };
        let protocol = match protocol {
            Some("grpc") => Protocol::Grpc,
            Some("http/protobuf") => Protocol::Http,
            None if port == Some(HTTP) => Protocol::Http,
            None => Protocol::Grpc,
            Some(other) => return Err(BadSettings::Protocol(shown(other))),
        };
        let base = uri.path().trim_end_matches('/').to_owned();
        if protocol == Protocol::Grpc && !base.is_empty() {
            return Err(wrong(
                "gRPC has no path; for OTLP over HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let usual = if protocol == Protocol::Grpc { GRPC } else { HTTP };
        Ok(Self { tls, host, port: port.unwrap_or(usual), base, protocol })
    }

    /// `host:port`, as a request names it.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.base)
    }
}

/// A text from outside, as an error may show it. A password in it is not shown.
pub(crate) fn shown(text: &str) -> String {
    let text = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_owned(),
    };
    text.chars().take(200).collect()
}
