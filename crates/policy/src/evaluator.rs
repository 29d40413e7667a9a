//! The side that asks: one process a question, and an end to it whatever it does.

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use crate::wire::{Answer, Ask, Module, Outcome, Question, Tested};
use crate::worker::{CPU_SECONDS, MEMORY_BYTES};

/// How long an answer may take on the clock: the machine may be busy, but the worker may not wait for ever.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4 << 20;
/// The most bytes of its last words.
const MAX_WORDS: u64 = 1024;

/// Evaluates policies in processes of their own.
#[derive(Debug, Clone)]
pub struct Evaluator {
    program: PathBuf,
    args: Vec<OsString>,
}

/// Why there is no answer. Whoever asked whether something may be done must take it for a no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be started or spoken to: the machine's fault.
    #[error("start the evaluation of policies: {0}")]
    Machine(#[from] std::io::Error),
    /// A policy doesn't compile, or can't be computed for this input.
    #[error("evaluate the policies: {0}")]
    Policy(String),
    /// It used more than it may, panicked, or fell over otherwise.
    #[error("evaluate the policies: {0}")]
    Fell(String),
}

impl Evaluator {
    /// One that starts `program` with `args`, which must come to [`crate::worker()`] at once.
    #[must_use]
    pub fn new(program: PathBuf, args: &[&str]) -> Self {
        Self { program, args: args.iter().map(OsString::from).collect() }
    }

    /// Whether the modules compile together and have a rule `deny` of admission that can be computed for nothing.
    pub fn check(&self, modules: &[Module]) -> Result<(), Error> {
        match self.ask(modules, Ask::Check)? {
            Answer::Checked => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Every reason why what `input` describes may not sprout; none, if it may. Blocks.
    pub fn reasons(&self, modules: &[Module], input: Value) -> Result<Vec<String>, Error> {
        match self.ask(modules, Ask::Deny(input))? {
            Answer::Reasons(reasons) => Ok(reasons),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs every `test_` rule, each in a process of its own, so that one that never ends is one that failed.
    pub fn test(&self, modules: &[Module]) -> Result<Vec<Tested>, Error> {
        let Answer::Tests(found) = self.ask(modules, Ask::Tests)? else {
            return Err(Error::Fell("it gave an answer to another question".to_owned()));
        };
        let mut ended = Vec::new();
        for of in found {
            ended.push(match self.ask(modules, Ask::Test(of.clone())) {
                Ok(Answer::Tests(mut tested)) if tested.len() == 1 => tested.remove(0),
                Ok(other) => return Err(unexpected(&other)),
                Err(Error::Policy(why) | Error::Fell(why)) => Tested { outcome: Outcome::Error(why), ..of },
                Err(error) => return Err(error),
            });
        }
        Ok(ended)
    }

    fn ask(&self, modules: &[Module], ask: Ask) -> Result<Answer, Error> {
        let question = serde_json::to_vec(&Question { modules: modules.to_vec(), ask })
            .map_err(|error| Error::Policy(error.to_string()))?;
        let mut command = Command::new(&self.program); // tidy: it evaluates, within limits, and is no workload
        command.args(&self.args).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (status, answer, words) = talk(command.spawn()?, &question)?;
        if !status.success() {
            return Err(Error::Fell(fall(status, &words)));
        }
        match serde_json::from_slice(&answer) {
            Ok(Answer::Error(why)) => Err(Error::Policy(why)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Error::Fell(format!("its answer is not one: {error}"))),
        }
    }
}

/// Hands a process its question and waits for its end; it is ended when that takes too long.
fn talk(mut child: Child, question: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
    // It isn't reaped yet, so the id is its own. Without a descriptor of it there would be no end to the waiting.
    let handle = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
        let _ = child.kill();
        let _ = child.wait();
    })?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else { unreachable!("all three are pipes") };
    let (done, watched) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // One that has just ended needs no end.
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        });
        // Whoever doesn't read it has ended, and its status says how.
        scope.spawn(move || drop(stdin.write_all(question)));
        let words = scope.spawn(move || read(stderr, MAX_WORDS));
        let answer = read(stdout, MAX_ANSWER);
        let status = child.wait();
        drop(done);
        let words = String::from_utf8_lossy(&words.join().unwrap_or_default()).into_owned();
        Ok((status?, answer, words))
    })
}

/// All that comes, of which so much is kept: a pipe that nobody empties would never end.
fn read(mut from: impl Read, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    // What was read before an error is what there is.
    let _ = (&mut from).take(most).read_to_end(&mut kept);
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    kept
}

/// How it fell, in words.
fn fall(status: ExitStatus, words: &str) -> String {
    let (words, memory) = (words.trim(), MEMORY_BYTES >> 20);
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => format!("they took more than {CPU_SECONDS} s of CPU time"),
        // At the hard limit of CPU time, and when the clock ran out, it is killed.
        Some(Signal::KILL) => format!(
            "they took more than {CPU_SECONDS} s of CPU time, or more than {} s in all",
            PATIENCE.as_secs()
        ),
        _ if words.contains("memory allocation") => format!("they took more than {memory} MiB of memory"),
        Some(Signal::SEGV | Signal::ABORT) if words.is_empty() || words.contains("overflowed its stack") => {
            "they are nested too deeply".to_owned()
        }
        _ if words.is_empty() => format!("the evaluation ended with {status}"),
        _ => words.lines().last().unwrap_or_default().to_owned(),
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::Fell(format!("it gave an answer to another question: {answer:?}"))
}
