//! A second process for the tests: this very test binary, told by its environment what to do.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use types::Digest;

use crate::temp::Kind;

const TASK: &str = "REPO_TEST_TASK";
const DIR: &str = "REPO_TEST_DIR";
const KIND: &str = "REPO_TEST_KIND";
/// What a child says per piece of a source it reads.
pub const TICK: u8 = b'.';

/// What the child does.
#[derive(Clone, Copy)]
pub enum Task {
    /// Puts one spore after the other, for ever; a tick on stdout for each piece read.
    PutForEver,
    /// Puts one spore of 3 MiB and prints how that went.
    PutLarge,
    /// Fetches a spore of 12 MiB from a node of its own; a tick on stdout for each piece that is here, then how that
    /// went.
    Fetch,
}

/// The arguments that make this binary run [`child`] alone.
pub const ARGS: [&str; 4] = ["--exact", "tests::child::child", "--nocapture", "--quiet"];

/// A command whose program is a shell script that ends in `exec "$0" "$@"`, so that it can prepare limits first.
pub fn shell(script: &str, dir: &Path, kind: Kind, task: Task) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    prepare(&mut command, dir, kind, task);
    command
}

/// The child itself.
pub fn command(dir: &Path, kind: Kind, task: Task) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    prepare(&mut command, dir, kind, task);
    command
}

fn prepare(command: &mut Command, dir: &Path, kind: Kind, task: Task) {
    let task = match task {
        Task::PutForEver => "for-ever",
        Task::PutLarge => "large",
        Task::Fetch => "fetch",
    };
    let kind = if kind == Kind::Named { "named" } else { "nameless" };
    command.args(ARGS).env(TASK, task).env(DIR, dir).env(KIND, kind);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// The content of the `n`th spore of [`Task::PutForEver`].
pub fn content(n: u64) -> Vec<u8> {
    let block = Digest::of(&n.to_le_bytes());
    block.as_bytes().repeat(1 + usize::try_from(n % 7).unwrap() * 300)
}

/// Yields `content` in four pieces and says so for each.
struct Ticking<'a> {
    content: &'a [u8],
    piece: usize,
}

impl Read for Ticking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.piece.min(self.content.len()).min(buf.len());
        buf[..n].copy_from_slice(&self.content[..n]);
        self.content = &self.content[n..];
        io::stdout().write_all(&[TICK])?;
        io::stdout().flush()?;
        Ok(n)
    }
}

/// Does nothing in an ordinary run of the tests.
#[test]
fn child() {
    let (Ok(task), Ok(dir)) = (std::env::var(TASK), std::env::var(DIR)) else { return };
    let kind = if std::env::var(KIND).as_deref() == Ok("named") { Kind::Named } else { Kind::Nameless };
    let repo = super::open(Path::new(&dir), kind);
    if task == "large" {
        match repo.put(io::repeat(42).take(3 << 20)) {
            Ok((digest, _)) => println!("stored {digest}"),
            Err(error) => println!("failed to {error}"),
        }
        return;
    }
    if task == "fetch" {
        return crate::exchange::tests::killed::child(Path::new(&dir));
    }
    for n in 0.. {
        let content = content(n);
        let piece = content.len().div_ceil(4);
        repo.put(Ticking { content: &content, piece }).unwrap();
    }
}
