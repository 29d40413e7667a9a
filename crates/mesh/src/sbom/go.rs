//! Go: what a program says of itself (`go version -m`, from Go 1.18 on), else `go.sum`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Found, Library, encoded};

/// How a Go program's account of itself begins (debug/buildinfo), at a multiple of 16 bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The flag that says that the texts follow the header, as they do from Go 1.18 on.
const INLINE: u8 = 2;
/// What the header has before them.
const HEADER: usize = 32;
/// The linker puts so many bytes before and after the module text, for tools to find it by.
const SENTINEL: usize = 16;
/// The longest account that is read.
const MAX_TEXT: usize = 16 << 20;
/// How much is looked through at once.
const PIECE: usize = 1 << 20;

/// What a Go program says of itself; `None` if it isn't one, or says nothing.
pub(super) fn in_binary(path: &Path) -> io::Result<Option<Found>> {
    let mut file = File::open(path)?;
    let mut window = Vec::new();
    let mut from = 0;
    loop {
        let before = window.len();
        (&mut file).take(PIECE as u64).read_to_end(&mut window)?;
        if window.len() == before {
            return Ok(None);
        }
        while let Some(at) = find(&window[from..]).map(|at| from + at) {
            (&mut file).take(MAX_TEXT as u64).read_to_end(&mut window)?;
            if let Some(found) = account(&window[at..]).map(|text| modules(&text)) {
                return Ok(Some(found));
            }
            from = at + 1;
        }
        // The beginning of one may be the end of this piece.
        from = 0;
        window.drain(..window.len().saturating_sub(MAGIC.len()));
    }
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
}

/// The module text of an account.
fn account(bytes: &[u8]) -> Option<String> {
    if bytes.get(15)? & INLINE == 0 {
        return None;
    }
    let (_, rest) = text(bytes.get(HEADER..)?)?;
    let (modules, _) = text(rest)?;
    let inner = modules.get(SENTINEL..modules.len().checked_sub(SENTINEL)?)?;
    String::from_utf8(inner.to_vec()).ok().filter(|text| text.starts_with("path\t"))
}

/// A length (LEB128) and so many bytes; what follows them.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift) = (0_usize, 0);
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..)?;
            return (length <= MAX_TEXT && length <= rest.len()).then(|| rest.split_at(length));
        }
        shift += 7;
    }
    None
}

/// Lines such as `dep\tgolang.org/x/sys\tv0.1.0\th1:…`; one that begins with `=>` replaces the one before.
fn modules(text: &str) -> Found {
    let mut libraries: Vec<Library> = Vec::new();
    let mut language = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        match words[..] {
            ["dep", name, version, ..] => libraries.push(module(name, version)),
            ["=>", name, version, ..] => {
                libraries.pop();
                libraries.push(module(name, version));
            }
            ["build", setting] => language = language.or(setting.strip_prefix("-compiler=")),
            _ => {}
        }
    }
    let compiler = language.map(|name| format!(" (compiled by {name})")).unwrap_or_default();
    Found {
        libraries,
        source: "the program's own build information".to_owned(),
        covers: format!("the modules that are linked into it{compiler}, without the standard library"),
    }
}

/// Reads `go.sum`.
pub(super) fn read_sum(text: &str) -> Result<Found, String> {
    let mut libraries = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            // The sum of a module's go.mod alone: it was looked at, not used.
            [_, version, _] if version.ends_with("/go.mod") => {}
            [name, version, _] => libraries.push(module(name, version)),
            _ => return Err(format!("line {} is not a module, a version and a sum", at + 1)),
        }
    }
    Ok(Found {
        libraries,
        source: "go.sum".to_owned(),
        covers: "every module whose content a build may have used, those of tests among them".to_owned(),
    })
}

fn module(name: &str, version: &str) -> Library {
    let path = name.split('/').map(encoded).collect::<Vec<_>>().join("/");
    Library {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        purl: format!("pkg:golang/{path}@{}", encoded(version)),
        // `h1:` is no hash of the archive, but of a list of hashes: CycloneDX has no name for it.
        hash: None,
    }
}
