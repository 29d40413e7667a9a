//! `mesh secret` and `mesh config`: from standard input to a file in a replica, and nowhere else.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Place, Ran};

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers with what it was given, but for the values themselves.
const READER: &str = r#"#!/usr/bin/env python3
import hashlib, os, stat
from http.server import BaseHTTPRequestHandler, HTTPServer

def describe(path):
    try:
        content = open(path, "rb").read()
    except OSError as error:
        return type(error).__name__
    meta = os.stat(path)
    own = "own" if meta.st_uid == os.getuid() else "other"
    return "%s %o %s" % (hashlib.sha256(content).hexdigest()[:16], stat.S_IMODE(meta.st_mode), own)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = "ok" if self.path == "/health" else describe("/run" + self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

impl Place {
    /// A line whose standard input is this.
    pub fn piped(&self, line: &str, input: &[u8]) -> Ran {
        let file = self.root().join("piped");
        std::fs::write(&file, input).unwrap();
        let stdin = Stdio::from(std::fs::File::open(&file).unwrap());
        std::fs::remove_file(&file).unwrap();
        self.run(line, self.command().args(line.split_whitespace()).stdin(stdin))
    }

    /// Whether this machine can give files to a replica; said where not.
    #[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
    pub fn gives(&self) -> bool {
        let mut look = std::process::Command::new("unshare");
        let able = look.args(["-Urpfm", "true"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if !able {
            eprintln!(
                "SKIPPED: this machine makes no namespaces, so nothing can be given to a replica alone"
            );
        }
        able
    }
}

pub fn digest(value: &[u8]) -> String {
    types::Digest::of(value).to_string()[..16].to_owned()
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let place = Place::new();
    for line in [
        "secret set db-password hunter2",
        "secret set db-password=hunter2",
        "secret set db-password -hunter2",
        "secret set db-password --value=hunter2",
        "config set features=hunter2",
        "secret set Hunter2",
    ] {
        let ran = place.mesh(line).ended(2);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.to_lowercase().contains("hunter2"), "{said}");
    }
    let ran = place.mesh("secret set db-password hunter2").ended(2);
    assert!(ran.stderr.contains("pipe it in (mesh secret set NAME < FILE)"), "{}", ran.stderr);
    assert!(place.mesh("secret set db-password").ended(2).stderr.contains("is empty"));
    let ran = place.piped("secret set db-password", &vec![b'x'; 32 * 1024 + 1]).ended(2);
    assert!(ran.stderr.contains("more than 32768 bytes"), "{}", ran.stderr);
    let ran = place.piped("config set features", b"\xff\xfe").ended(2);
    assert!(ran.stderr.contains("not UTF-8"), "{}", ran.stderr);
    assert!(
        place.piped("secret set db-password", b"hunter2").ended(3).stderr.contains("no mesh"),
        "nothing runs"
    );
}

#[test]
fn a_replica_reads_its_secrets_and_gets_new_values_by_being_replaced() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    let mesh = place.start("-nodes 2 -warmup 100ms");
    place.write("reader", READER);
    place
        .mesh("deploy reader --secret db-password")
        .ended(1)
        .stderr
        .contains("there is no secret db-password");
    place.piped("secret set db-password", b"hunter2").good();
    place.piped("config set features --app reader", b"a=1").good();
    assert_eq!(place.json("secret list")[0]["nodes"], 0, "no app names it");
    place.mesh("deploy reader --instances 2 --secret db-password --config features").good();
    let listed = place.json("secret list");
    assert_eq!((&listed[0]["nodes"], &listed[0]["current"]), (&2.into(), &true.into()), "{listed}");
    let reads = |path: &str| mesh.get(&format!("/reader/{path}")).body;
    assert_eq!(reads("secrets/db-password"), format!("{} 400 own", digest(b"hunter2")));
    assert_eq!(reads("config/features"), format!("{} 400 own", digest(b"a=1")));
    assert_eq!(reads("secrets/other"), "FileNotFoundError");

    let before = place.last_event();
    place.piped("secret set db-password", b"hunter3").good();
    let version = place.json("secret list")[0]["version"].as_u64().unwrap();
    for _ in 0..2 {
        let text = format!("version {version} of the secret db-password, as /run/secrets/db-password");
        let event = place.event(before, "a delivery", |event| event["message"] == text.as_str());
        assert_eq!((&event["kind"], &event["appName"]), (&"secret-delivered".into(), &"reader".into()));
    }
    // It was given to them; they are ready when they are.
    let (new, end) = (format!("{} 400 own", digest(b"hunter3")), Instant::now() + PATIENCE);
    while reads("secrets/db-password") != new {
        assert!(Instant::now() < end, "{}", place.log());
    }

    place.mesh("secret rm db-password").ended(1);
    place.mesh("deploy reader --drop-secret db-password --drop-config features").good();
    assert_eq!(reads("secrets/db-password"), "FileNotFoundError");
    place.mesh("secret rm db-password").good();
    place.mesh("secret rm db-password").ended(1);
}

#[test]
fn a_node_that_came_later_starts_nothing_until_it_is_sealed_to() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    place.write("reader", READER);
    {
        let mut mesh = place.start("-nodes 1 -warmup 100ms");
        place.piped("secret set db-password", b"hunter2").good();
        place.mesh("deploy reader --secret db-password").good();
        mesh.signal(rustix::process::Signal::TERM);
        mesh.ended();
    }
    let _mesh = place.start("-nodes 2 -warmup 100ms");
    place.mesh("scale reader 2 --no-wait").good();
    let refused = place.event(0, "the refusal", |event| event["kind"] == "spore-refused");
    let said = refused["message"].as_str().unwrap();
    assert!(
        said.contains("not sealed to this node") && said.contains("mesh secret reseal db-password"),
        "{said}"
    );
    assert!(place.mesh("why reader").good().stdout.contains("mesh secret reseal db-password"));
    let ran = place.mesh("secret list").good();
    assert!(ran.stdout.contains("1 of 2 nodes"), "{}", ran.stdout);
    assert!(ran.stderr.contains("node-2 can't open db-password; run: mesh secret reseal"), "{}", ran.stderr);
    place.mesh("secret reseal").good();
    place.event(refused["seq"].as_u64().unwrap(), "the delivery", |event| {
        event["kind"] == "secret-delivered" && event["nodeID"] == "node-2"
    });
    assert!(place.mesh("secret reseal").good().stderr.contains("nothing to do"));
}

/// What is looked for, in the forms in which it could stand somewhere.
pub fn forms(canary: &str) -> Vec<Vec<u8>> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![canary.into(), hex.into(), base64(canary.as_bytes()).into()]
}

/// Base64 of what has a length that three divides.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63]))
    });
    letters.collect()
}

pub fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

/// Every file below a folder.
pub fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// All that a process has in memory and may be written into a core.
fn memory(pid: u64) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mut part = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
        if memory.read_exact_at(&mut part, number(from)).is_ok() {
            all.extend(part);
        }
    }
    all
}

/// Where the canary is: environments and command lines of all processes, all files of this place and of what is in
/// memory for all, what the mesh answers, and the memory of the daemon and of the keeper.
pub fn hits(place: &Place, forms: &[Vec<u8>]) -> Vec<String> {
    let mut paths = Vec::new();
    [place.root(), Path::new("/dev/shm")].into_iter().for_each(|folder| files(folder, &mut paths));
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().parse::<u32>().is_ok() {
            paths.extend(["environ", "cmdline"].map(|name| entry.path().join(name)));
        }
    }
    let read = |path: &PathBuf| std::fs::read(path).unwrap_or_default();
    let mut found: Vec<String> = paths
        .iter()
        .filter(|path| holds(&read(path), forms))
        .map(|path| path.display().to_string())
        .collect();
    for line in [
        "status --json",
        "events --json",
        "secret list --json",
        "config list --json",
        "why reader",
        "logs reader",
    ] {
        let ran = place.mesh(line);
        if holds(format!("{}{}", ran.stdout, ran.stderr).as_bytes(), forms) {
            found.push(line.to_owned());
        }
    }
    let status = place.json("status");
    for who in ["pid", "keeper_pid"] {
        if holds(&memory(status[who].as_u64().unwrap()), forms) {
            found.push(format!("memory of {who}"));
        }
    }
    found
}

#[test]
fn a_canary_is_nowhere_but_in_the_replicas_own_files() {
    let place = Place::new();
    if !place.gives() {
        return;
    }
    let mesh = place.start("-nodes 2 -warmup 100ms");
    place.write("reader", READER);
    let canary = format!("canary-{:026x}", u128::from(std::process::id()) << 64 | 0x5eed_cafe_f00d_d00d);
    let forms = forms(&canary);
    place.piped("secret set db-password", canary.as_bytes()).good();
    place.mesh("deploy reader --instances 2 --secret db-password").good();
    assert_eq!(
        mesh.get("/reader/secrets/db-password").body,
        format!("{} 400 own", digest(canary.as_bytes()))
    );
    // Sealed anew, set again, refused: whatever handles it has done so, and errors were said about it.
    place.piped("secret set db-password --app reader", canary.as_bytes()).good();
    place.mesh("deploy reader").good();
    place.mesh("secret reseal").good();
    place.piped("secret set db-password --app other", canary.as_bytes()).good();
    place.event(0, "the refusal", |event| event["kind"] == "spore-refused");
    let found = hits(&place, &forms);
    assert!(found.is_empty(), "the canary is in {found:#?}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", mesh.child.id())).unwrap();
    assert!(limits.lines().any(|line| line.starts_with("Max core file size        1 ")), "{limits}");

    // Leaked on purpose, it is found: in a record and so in the journal, in an environment, in an answer.
    place.mesh(&format!("env set reader LEAK={canary} --no-wait")).good();
    place.piped("config set leak", canary.as_bytes()).good();
    place.write("leak", &base64(canary.as_bytes()));
    let found = hits(&place, &forms);
    for place in ["fabric.redb", "work/leak", "memory of pid"] {
        assert!(found.iter().any(|path| path.contains(place)), "{place} is not in {found:#?}");
    }
}
