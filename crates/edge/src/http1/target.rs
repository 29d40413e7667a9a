//! Which app a request is for: by host name (`{app}.mesh.internal`, or a mapped host), else by the first segment of its path.

use super::head::Malformed;

/// The domain under which every app has a name.
pub(crate) const DOMAIN: &str = "mesh.internal";

/// A request target, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// `host[:port]` of an absolute target.
    pub authority: Option<&'a [u8]>,
    /// Path and query; empty or `?…` where an absolute target has no path, `*` for the whole server.
    pub path: &'a [u8],
}

/// Takes an origin-form, absolute-form or asterisk-form target apart (RFC 9112 §3.2).
pub(crate) fn parse(target: &[u8]) -> Result<Target<'_>, Malformed> {
    let parsed = if target.starts_with(b"/") || target == b"*" {
        Target { authority: None, path: target }
    } else {
        let scheme = target.get(..7).filter(|s| s.eq_ignore_ascii_case(b"http://"));
        scheme.ok_or(Malformed::Target)?;
        let rest = &target[7..];
        let end = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
        let authority = &rest[..end];
        if !is_host(authority) {
            return Err(Malformed::Target);
        }
        Target { authority: Some(authority), path: &rest[end..] }
    };
    // Some workloads take a backslash in a path for a slash.
    let path = parsed.path.split(|&b| b == b'?').next().unwrap_or_default();
    if path.contains(&b'\\') {
        return Err(Malformed::Target);
    }
    Ok(parsed)
}

/// Whether `host` is a host with an optional port: a name, an IPv4 address or an IPv6 one in brackets.
pub(crate) fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|&b| b == b':') {
        Some(colon) if !host[colon..].contains(&b']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, &b""[..]),
    };
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let numbered = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let fits = match name {
        [] => false,
        [b'[', inner @ .., b']'] => !inner.is_empty() && inner.iter().all(numbered),
        _ => name.len() <= 255 && name.iter().all(named),
    };
    fits && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// The name without its port and a final dot.
pub(crate) fn name_of(host: &[u8]) -> &[u8] {
    let name = match host.iter().rposition(|&b| b == b':') {
        Some(colon) if !host[colon..].contains(&b']') => &host[..colon],
        _ => host,
    };
    name.strip_suffix(b".").unwrap_or(name)
}

/// The app of a name `{app}.mesh.internal`.
pub(crate) fn app_of_name(name: &[u8]) -> Option<&[u8]> {
    let at = name.len().checked_sub(DOMAIN.len() + 1)?;
    let fits = name[at] == b'.' && name[at + 1..].eq_ignore_ascii_case(DOMAIN.as_bytes());
    (fits && at > 0 && !name[..at].contains(&b'.')).then_some(&name[..at])
}

/// `/{app}/rest?query` as (`{app}`, `/rest?query`); the second part lacks its slash where the first had none.
pub(crate) fn app_of_path(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let end = path.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(path.len());
    path.split_at(end)
}

#[cfg(test)]
mod tests;
