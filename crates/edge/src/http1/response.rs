//! What a workload's response head means: framing, persistence, and which fields stay on this hop.

use super::body::Framing;
use super::field::Known;
use super::head::{Head, Malformed};
use super::request::{FramingFields, Options, drop_listed};

/// A response as the edge needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response {
    pub status: u16,
    pub framing: Framing,
    /// Whether the workload will take another request on this connection.
    pub keep_alive: bool,
    /// Whether it says that it changes protocols.
    pub upgrade: bool,
}

impl Response {
    /// 1xx: another head follows (`101` aside).
    pub(crate) const fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// Checks a parsed head and marks the fields that stay behind. `to_head` when the request was a `HEAD`.
pub(crate) fn check(buf: &[u8], head: &mut Head, to_head: bool) -> Result<Response, Malformed> {
    let minor = u8::from(head.line[0].of(buf).ends_with(b"1"));
    let status = head.line[1].of(buf).iter().fold(0, |n, &b| n * 10 + u16::from(b - b'0'));
    let bodiless = status < 200 || status == 204 || status == 304 || to_head;
    let mut framing = FramingFields::default();
    let mut options = Options::default();
    let mut upgrade = false;
    for field in &mut head.fields {
        field.dropped = match field.known {
            Known::Other
            | Known::Host
            | Known::Expect
            | Known::ForwardedFor
            | Known::TraceParent
            | Known::TraceState => continue,
            Known::ContentLength | Known::TransferEncoding => {
                framing.see(field, buf)?;
                // A 1xx or 204 has no length to speak of (RFC 9110 §8.6).
                status < 200 || status == 204
            }
            Known::Connection => {
                options.see(field.value.of(buf));
                true
            }
            Known::Upgrade => {
                upgrade = true;
                status != 101
            }
            Known::OneHop | Known::RequestId | Known::Ours => true,
        };
    }
    if options.others {
        drop_listed(buf, head)?;
    }
    let stated = framing.of_response(minor)?;
    let keep_alive = if minor == 1 { !options.close } else { options.keep_alive && !options.close };
    Ok(Response {
        status,
        framing: if bodiless { Framing::None } else { stated },
        keep_alive,
        upgrade: upgrade && options.upgrade,
    })
}

#[cfg(test)]
mod tests;
