//! What stands on the wire: protocol names, the head of a stream, the greeting, codes. Pure: it opens no socket.
//!
//! - ALPN (RFC 7301): `mycelium/1/{protocol}`, and behind it `mycelium/1`, by which a node that does not serve the
//!   protocol lets the handshake end and says so: an answer that comes without a key can be anybody's.
//! - A stream both ways begins with its protocol: one byte of length, then the name.
//! - A one-way stream too, then come messages: four bytes of length (big endian), then the message.
//! - The first one-way stream of each side is its greeting instead: a zero byte, then eight bytes that are random for
//!   each start of a node. It says that the gate admitted the other one, and tells a restarted peer from a patient one.
//! - A one-way stream for `retire`, without a message, says that the connection is for what is open on it alone: another
//!   run of the same node takes what is new. One for `part` says that nobody used it, and that it is about to be closed.

/// The version of what is spoken here, whatever the protocol.
pub const ALPN: &[u8] = b"mycelium/1";
/// The built-in protocol that echoes, and the name under which the gate is asked whether a peer is a member.
pub const PING: &str = "ping";
/// What a one-way stream names by which a node retires a connection.
pub const RETIRE: &str = "retire";
/// And by which it takes leave of one that nobody used.
pub const PART: &str = "part";
/// The name under which the gate is asked about datagrams, and under which they are served.
pub const DATAGRAM: &str = "datagram";
/// The largest message, in bytes.
pub const MAX_MESSAGE: usize = 256 << 10;
/// The largest datagram, in bytes: what fits QUIC's smallest packet (RFC 9000 §14.1), whatever the path.
pub const MAX_DATAGRAM: usize = 1_100;

/// The longest name of a protocol, in bytes.
const MAX_NAME: usize = 32;
/// The longest reason told to a peer, in bytes: it has to fit one packet.
const MAX_REASON: usize = 200;

/// The peer is done with the connection, or closes.
pub const CODE_DONE: u32 = 0;
/// The gate refused.
pub const CODE_REFUSED: u32 = 1;
/// The stream's protocol is not served here.
pub const CODE_NO_PROTOCOL: u32 = 2;
/// What came is not what this protocol says.
pub const CODE_GARBAGE: u32 = 3;
/// A newer connection between the two took its place.
pub const CODE_SUPERSEDED: u32 = 4;
/// Whoever wrote a stream went away before its end.
pub const CODE_ABANDONED: u32 = 5;
/// The peer announced other addresses than the one of this connection.
pub const CODE_MOVED: u32 = 6;

/// The size of a greeting behind its zero byte.
pub const GREETING: usize = 8;

/// Whether this can be the name of a protocol.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// The ALPN by which a node is dialled for `protocol`.
pub fn alpn(protocol: &str) -> Vec<u8> {
    [ALPN, b"/", protocol.as_bytes()].concat()
}

/// The protocol in an ALPN.
pub fn protocol(alpn: &[u8]) -> Option<&str> {
    alpn.strip_prefix(ALPN)?.strip_prefix(b"/").and_then(name)
}

/// The head of a stream for `protocol`, which is a name (see [`is_name`]).
pub fn head(protocol: &str) -> Vec<u8> {
    let mut head = vec![u8::try_from(protocol.len()).expect("a name has at most 32 bytes")];
    head.extend_from_slice(protocol.as_bytes());
    head
}

/// How many bytes of name follow the first byte of a stream; `None` if it can't be one.
pub fn name_length(first: u8) -> Option<usize> {
    Some(usize::from(first)).filter(|length| (1..=MAX_NAME).contains(length))
}

/// The name in the head of a stream.
pub fn name(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| is_name(name))
}

/// The greeting of the run `run` of a node, with its zero byte.
pub fn greeting(run: u64) -> [u8; GREETING + 1] {
    let mut bytes = [0; GREETING + 1];
    bytes[1..].copy_from_slice(&run.to_be_bytes());
    bytes
}

/// The size of the message that follows these four bytes; `Err` holds the size if none can be so large.
pub fn message_length(bytes: [u8; 4]) -> Result<usize, usize> {
    let length = u32::from_be_bytes(bytes) as usize;
    if length > MAX_MESSAGE { Err(length) } else { Ok(length) }
}

/// As much of a reason as is told to a peer.
pub fn shorten(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON)]
}

/// A peer's reason as it may be printed: no control characters, bounded.
pub fn printable(reason: &[u8]) -> String {
    let text = String::from_utf8_lossy(&reason[..reason.len().min(MAX_REASON)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
