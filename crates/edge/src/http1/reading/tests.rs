//! Our parser against another one (httparse, which hyper uses), on altered requests and on the committed corpus.

use super::{CLIENT_LINES, Malformed, Reading, WORKLOAD_LINES, read_request};

/// Requests that are altered, most of them acceptable as they are.
const SEEDS: &[&str] = &[
    "GET /app/x?y=1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /app/ HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nX-Y:  z \t\r\n\r\nhello",
    "POST /app/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx-t: u\r\n\r\n",
    "GET http://a.mesh.internal/x HTTP/1.1\r\nHost: a.mesh.internal\r\nConnection: Upgrade, x\r\nUpgrade: ws\r\nX: 1\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: abc\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: [::1]:8080\r\nExpect: 100-continue\r\nContent-Length: 1\r\nCookie: a=\u{e9}\r\n\r\n0",
];

/// What is put into requests: the characters that parsers disagree about.
const PIECES: &[&str] = &[
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "chunked",
    "Content-Length: 3\r\n",
    "0",
    "\u{b}",
    "\u{7f}",
    "Transfer-Encoding: chunked\r\n",
    "Host: x\r\n",
    " HTTP/1.1",
    "#",
    "\\",
    "%00",
    "_",
    "\"",
    "Connection: close\r\n",
];

/// A small generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

fn altered(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 if at < bytes.len() => drop(bytes.remove(at)),
            1 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            2 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            _ => {
                let end = (at + random.below(12)).min(bytes.len());
                let copied = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copied));
            }
        }
    }
    bytes
}

/// What has to hold of any bytes.
fn holds(bytes: &[u8]) -> bool {
    let Ok(Some(reading)) = read_request(bytes, CLIENT_LINES) else { return false };
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let mut fields = [httparse::EMPTY_HEADER; CLIENT_LINES];
    let mut other = httparse::Request::new(&mut fields);
    let parsed = other.parse(&bytes[skipped..]);
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    assert!(
        matches!(parsed, Ok(httparse::Status::Complete(_))),
        "another parser refuses {:?}: {parsed:?}",
        shown()
    );
    assert_eq!(other.method.map(str::as_bytes), Some(&reading.method[..]), "{:?}", shown());
    assert_eq!(other.path.map(str::as_bytes), Some(&reading.target[..]), "{:?}", shown());
    assert_eq!(other.version, Some(reading.minor), "{:?}", shown());
    let seen: Vec<_> = other.headers.iter().map(|h| (h.name.as_bytes().to_vec(), h.value.to_vec())).collect();
    assert_eq!(seen, reading.fields, "{:?}", shown());
    forwards_the_same(&reading);
    true
}

/// What a workload gets is one request with the same body, whole to the last byte.
fn forwards_the_same(reading: &Reading) {
    let again =
        read_request(&reading.forwarded, WORKLOAD_LINES).unwrap().expect("what is forwarded is whole");
    assert_eq!(again.len, reading.forwarded.len());
    assert_eq!((&again.method, &again.body, again.minor), (&reading.method, &reading.body, 1));
    let count =
        |name: &str| again.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).count();
    for name in ["host", "x-request-id", "x-mycelium-edge", "x-forwarded-for", "x-forwarded-proto"] {
        assert_eq!(count(name), 1, "{name} in {:?}", String::from_utf8_lossy(&reading.forwarded));
    }
    for name in ["te", "keep-alive", "proxy-connection"] {
        assert_eq!(count(name), 0, "{name}");
    }
}

#[test]
fn what_we_accept_another_parser_reads_the_same() {
    let accepted = (1..=40_000_u64).filter(|&seed| holds(&altered(&mut Random(seed * 0x9e37_79b9)))).count();
    assert!(accepted > 8_000, "only {accepted} were accepted: the test tests nothing");
}

#[test]
fn no_beginning_of_a_request_is_a_request() {
    for seed in SEEDS {
        let bytes = seed.as_bytes();
        let whole = read_request(bytes, CLIENT_LINES).unwrap().unwrap();
        assert_eq!(whole.len, bytes.len(), "{seed:?}");
        for cut in 0..bytes.len() {
            assert_eq!(read_request(&bytes[..cut], CLIENT_LINES), Ok(None), "{seed:?} cut at {cut}");
        }
    }
}

#[test]
fn the_edges_own_lines_do_not_count_as_the_clients() {
    let of = |lines: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "a:\r\n".repeat(lines));
    let most = read_request(of(CLIENT_LINES).as_bytes(), CLIENT_LINES).unwrap().unwrap();
    assert!(holds(of(CLIENT_LINES).as_bytes()));
    assert_eq!(read_request(of(CLIENT_LINES + 1).as_bytes(), CLIENT_LINES), Err(Malformed::TooMany));
    let again = read_request(&most.forwarded, WORKLOAD_LINES).unwrap().unwrap();
    assert_eq!(again.fields.len(), WORKLOAD_LINES);
    assert_eq!(read_request(&most.forwarded, WORKLOAD_LINES - 1), Err(Malformed::TooMany));
}

#[test]
fn the_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/http_head");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
    assert!(files.len() >= 10, "the corpus is missing");
    for file in files {
        holds(&std::fs::read(file.path()).unwrap());
    }
}
