//! Packing: a template and its files become a signed spore; the same inputs become the same bytes.
//!
//! Sources are read twice, once for the digests that the signed manifest at the front must state,
//! once to be copied; one that changed in between is an error. Memory is constant whatever the size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use types::{Digest, Signer, Timestamp};

use crate::archive::{BINARY, Entry, FILES, MANIFEST, Tail, local_header};
use crate::bounds::{MAX_CONTENT_BYTES, MAX_SPORE_BYTES};
use crate::hash::Sha256;
use crate::path::path_problem;
use crate::{Manifest, PackError, Template, manifest, seal};

/// How much is read at once.
const PIECE: usize = 256 << 10;

const TOO_LARGE: &str = "it is larger than 2 GiB";

/// What goes into a spore besides its manifest.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The program (or script, jar, … with an `interpreter`).
    pub binary: &'a Path,
    /// What comes with it: the path under `files/`, and where the content is now. In any order.
    pub files: Vec<(String, PathBuf)>,
    /// What the manifest will state; take it from the source's history, not from the clock.
    pub created_at: Timestamp,
}

/// What was packed.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The SHA-256 of the whole file: the spore's name.
    pub digest: Digest,
    /// The manifest as signed.
    pub manifest: Manifest,
    /// The bytes written.
    pub bytes: u64,
}

/// Packs `template` and `source` into a spore signed by `signer`, written to `out`.
pub fn pack(
    template: &Template,
    source: &Source<'_>,
    signer: &dyn Signer,
    out: &mut impl Write,
) -> Result<Packed, PackError> {
    let mut parts = parts(source)?;
    for part in &mut parts {
        part.measure()?;
    }
    let document = signed(template, source, &parts, signer)?;
    let text = manifest::text(&document);
    let manifest = Manifest::from_slice(&text)?;
    let front = Part::known(MANIFEST, &text);
    let entries = lay_out(std::iter::once(&front).chain(&parts))?;

    let mut out = Hashed { out, hash: Sha256::default(), bytes: 0 };
    out.put(&local_header(&entries[0]))?;
    out.put(&text)?;
    for (entry, part) in entries[1..].iter().zip(&parts) {
        out.put(&local_header(entry))?;
        part.copy(&mut out)?;
    }
    let directory = u32::try_from(out.bytes).expect("lay_out bounds the whole");
    out.put(&Tail::of(&entries, directory))?;
    out.out.flush().map_err(PackError::Write)?;
    Ok(Packed { digest: out.hash.finish(), manifest, bytes: out.bytes })
}

/// The sources in the order of the bundle.
fn parts(source: &Source<'_>) -> Result<Vec<Part>, PackError> {
    let mut files = BTreeMap::new();
    for (path, from) in &source.files {
        let refused = |problem| PackError::Path { path: path.clone(), problem };
        if let Some(problem) = path_problem(path) {
            return Err(refused(problem));
        }
        if files.insert(path, from).is_some() {
            return Err(refused("it is given twice"));
        }
    }
    let binary = Part::new(BINARY.to_owned(), source.binary);
    let files = files.into_iter().map(|(path, from)| Part::new(format!("{FILES}{path}"), from));
    Ok(std::iter::once(binary).chain(files).collect())
}

/// The template with its integrity fields filled in.
fn signed(
    template: &Template,
    source: &Source<'_>,
    parts: &[Part],
    signer: &dyn Signer,
) -> Result<Map<String, Value>, PackError> {
    let binary = parts[0].digest;
    let files: BTreeMap<&str, Digest> =
        parts[1..].iter().map(|part| (&part.name[FILES.len()..], part.digest)).collect();
    let mut document = template.document().clone();
    if !files.is_empty() {
        document.insert("files".to_owned(), json!(files));
    }
    document.insert("binary_sha256".to_owned(), json!(binary));
    document.insert("public_key".to_owned(), json!(signer.public_key()));
    document.insert("created_at".to_owned(), json!(source.created_at));
    let signature = seal::sign(&document, &binary, signer)?;
    document.insert(seal::SIGNATURE.to_owned(), json!(signature));
    Ok(document)
}

/// Puts the parts one after the other, checking that a spore can hold them.
fn lay_out<'a>(parts: impl Iterator<Item = &'a Part>) -> Result<Vec<Entry>, PackError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    for part in parts {
        let offset = u32::try_from(at).map_err(|_| PackError::TooLarge(at))?;
        let size = u32::try_from(part.size).map_err(|_| PackError::TooLarge(part.size))?;
        let entry = Entry { name: part.name.clone(), crc: part.crc, size, offset };
        at = entry.end();
        entries.push(entry);
    }
    let directory = u32::try_from(at).map_err(|_| PackError::TooLarge(at))?;
    let whole = at + Tail::of(&entries, directory).len() as u64;
    if whole > MAX_SPORE_BYTES { Err(PackError::TooLarge(whole)) } else { Ok(entries) }
}

/// One entry to be: where its content is, and what the first reading found.
struct Part {
    name: String,
    from: PathBuf,
    size: u64,
    crc: u32,
    digest: Digest,
}

impl Part {
    fn new(name: String, from: &Path) -> Self {
        Self { name, from: from.to_owned(), size: 0, crc: 0, digest: Digest::from_bytes([0; 32]) }
    }

    /// A part whose content is at hand.
    fn known(name: &str, bytes: &[u8]) -> Self {
        let (size, crc) = (bytes.len() as u64, crc32fast::hash(bytes));
        Self { name: name.to_owned(), from: PathBuf::new(), size, crc, digest: Digest::of(bytes) }
    }

    fn measure(&mut self) -> Result<(), PackError> {
        let (mut hash, mut crc, mut size) = (Sha256::default(), crc32fast::Hasher::new(), 0);
        self.read(|piece| {
            hash.update(piece);
            crc.update(piece);
            size += piece.len() as u64;
            if size > MAX_CONTENT_BYTES { Err(self.refused(TOO_LARGE)) } else { Ok(()) }
        })?;
        if size == 0 && self.name == BINARY {
            return Err(self.refused("it is empty"));
        }
        (self.size, self.crc, self.digest) = (size, crc.finalize(), hash.finish());
        Ok(())
    }

    fn copy(&self, out: &mut Hashed<impl Write>) -> Result<(), PackError> {
        let mut crc = crc32fast::Hasher::new();
        let mut left = self.size;
        let changed = || self.refused("it changed while it was packed");
        self.read(|piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(changed)?;
            crc.update(piece);
            out.put(piece)
        })?;
        if left == 0 && crc.finalize() == self.crc { Ok(()) } else { Err(changed()) }
    }

    fn read(&self, mut each: impl FnMut(&[u8]) -> Result<(), PackError>) -> Result<(), PackError> {
        let failed = |source| PackError::Read { path: self.from.clone(), source };
        // Asked before it is opened: opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(&self.from).map_err(failed)?;
        if !metadata.is_file() {
            return Err(self.refused("it is not a regular file"));
        }
        if metadata.len() > MAX_CONTENT_BYTES {
            return Err(self.refused(TOO_LARGE));
        }
        let mut file = File::open(&self.from).map_err(failed)?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => each(&piece[..length])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }

    fn refused(&self, problem: &'static str) -> PackError {
        PackError::Source { path: self.from.clone(), problem }
    }
}

/// A writer that knows the digest of what went through it.
struct Hashed<'a, W> {
    out: &'a mut W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashed<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(PackError::Write)
    }
}
