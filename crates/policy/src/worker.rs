//! The process that evaluates: it limits itself, reads one question, answers it, and ends.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::engine;
use crate::wire::{Answer, Question};

/// What it may use. Memory is what it allocates: the program's own code doesn't count.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::Cpu, CPU_SECONDS),
    (Resource::Data, MEMORY_BYTES),
    (Resource::Core, 0),
    (Resource::Fsize, 0),
    // Its three pipes are open already.
    (Resource::Nofile, 3),
];
/// A policy is a few rules over one document: what takes longer goes round.
pub(crate) const CPU_SECONDS: u64 = 2;
/// The largest question takes a tenth of it.
pub(crate) const MEMORY_BYTES: u64 = 256 << 20;

/// The whole of the process: what the program does that [`crate::Evaluator`] is given. Call it before anything else.
#[must_use]
pub fn worker() -> ExitCode {
    // Its last words, in one line: whoever asked tells them.
    std::panic::set_hook(Box::new(|info| {
        let what = info.payload_as_str().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "the engine panicked: {}", what.replace('\n', " "));
    }));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> std::io::Result<()> {
    for (resource, most) in LIMITS {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    let mut question = Vec::new();
    std::io::stdin().lock().read_to_end(&mut question)?;
    let answer = match serde_json::from_slice::<Question>(&question) {
        Ok(question) => engine::answer(question),
        Err(error) => Answer::Error(format!("the question is not one: {error}")),
    };
    let text = serde_json::to_vec(&answer)?;
    std::io::stdout().lock().write_all(&text)
}
