//! W3C Trace Context (level 2, which includes level 1): `traceparent` and `tracestate`, read strictly.
//!
//! What can't be read is nobody's context: whoever gets such a request begins a trace of its own.

/// Length of a `traceparent` of version 00.
pub const LENGTH: usize = 55;
/// Members of a `tracestate` (§3.3.1.1).
const MEMBERS: usize = 32;
/// Bytes of a `tracestate` that are carried; the specification asks for 512 at least.
const STATE_BYTES: usize = 4096;
/// Bytes of one value in a `tracestate`, and of a key.
const PART_BYTES: usize = 256;

/// The bits of the flags that level 2 knows.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// Where in a trace a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: [u8; 16],
    /// The span that sent the request.
    pub span: [u8; 8],
    flags: u8,
}

impl Context {
    /// The start of a trace: `trace` is random.
    #[must_use]
    pub const fn start(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Self {
        Self { trace, span, flags: RANDOM | if sampled { SAMPLED } else { 0 } }
    }

    /// The same trace, as `span` passes it on.
    #[must_use]
    pub const fn child(self, span: [u8; 8], sampled: bool) -> Self {
        Self { span, flags: (self.flags & RANDOM) | if sampled { SAMPLED } else { 0 }, ..self }
    }

    /// Whether whoever sent it may have recorded its span.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Reads a `traceparent`: of version 00 exactly, of a later one what version 00 has of it.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.len() < LENGTH || [2, 35, 52].iter().any(|&i| value[i] != b'-') {
            return None;
        }
        let [version] = hex::<1>(&value[..2])?;
        let whole = match version {
            0 => value.len() == LENGTH,
            0xff => false,
            _ => value.len() == LENGTH || value[LENGTH] == b'-',
        };
        let (trace, span) = (hex::<16>(&value[3..35])?, hex::<8>(&value[36..52])?);
        let [flags] = hex::<1>(&value[53..55])?;
        let named = trace != [0; 16] && span != [0; 8];
        (whole && named).then_some(Self { trace, span, flags: flags & (SAMPLED | RANDOM) })
    }

    /// The `traceparent`, of version 00.
    #[must_use]
    pub fn text(&self) -> [u8; LENGTH] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put(&self.trace, &mut out[3..35]);
        put(&self.span, &mut out[36..52]);
        put(&[self.flags], &mut out[53..55]);
        out
    }
}

/// A trace's id as it is written, if that is one.
#[must_use]
pub fn trace_id(text: &str) -> Option<[u8; 16]> {
    hex(text.as_bytes()).filter(|id| *id != [0; 16])
}

/// A span's id as it is written, if that is one.
#[must_use]
pub fn span_id(text: &str) -> Option<[u8; 8]> {
    hex(text.as_bytes()).filter(|id| *id != [0; 8])
}

/// Lower case only, as the specification has it.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (to, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *to = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

fn put(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
}

/// The header lines of one request's `tracestate`, checked one after the other.
#[derive(Debug)]
pub struct State<'a> {
    keys: [&'a [u8]; MEMBERS],
    members: usize,
    bytes: usize,
    bad: bool,
}

impl Default for State<'_> {
    fn default() -> Self {
        Self { keys: [b""; MEMBERS], members: 0, bytes: 0, bad: false }
    }
}

impl<'a> State<'a> {
    /// Takes the next line's value.
    pub fn see(&mut self, value: &'a [u8]) {
        self.bytes += value.len();
        self.bad |= self.bytes > STATE_BYTES;
        if !self.bad {
            // Empty members may stand in it (§3.3.1.1).
            let members = value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty());
            self.bad = !members.map(|member| self.add(member)).fold(true, |all, good| all & good);
        }
    }

    fn add(&mut self, member: &'a [u8]) -> bool {
        let Some(equals) = member.iter().position(|&b| b == b'=') else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        let known = self.keys[..self.members].contains(&key);
        if self.members == MEMBERS || known || !is_key(key) || !is_value(value) {
            return false;
        }
        self.keys[self.members] = key;
        self.members += 1;
        true
    }

    /// Whether all of it may be passed on.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        !self.bad
    }
}

fn trim(member: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = member.iter().position(|b| !blank(b)).unwrap_or(member.len());
    let end = member.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    &member[start..end]
}

/// `lcalpha`, or a digit where a tenant stands before `@` (level 2 lets a simple key begin with one, too).
fn is_key(key: &[u8]) -> bool {
    let begins = key.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let fits = |b: &u8| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    begins && key.len() <= PART_BYTES && key.iter().all(fits)
}

fn is_value(value: &[u8]) -> bool {
    let fits = |b: &u8| matches!(b, 0x20..=0x7e) && !matches!(b, b',' | b'=');
    (1..=PART_BYTES).contains(&value.len()) && value.iter().all(fits)
}

#[cfg(test)]
mod tests;
