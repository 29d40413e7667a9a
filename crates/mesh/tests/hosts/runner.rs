//! Runs the tests, a few at a time, each in a cell and for a bounded time; a small part of what `cargo test`'s
//! own harness does, which can't skip.

use std::io::{Read as _, Write as _};
use std::process::{ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::{cell, clock, workloads};

/// How many run at a time unless `--test-threads` says otherwise: they wait more than they work.
const AT_A_TIME: usize = 3;
/// After this long a test has failed.
const DEADLINE: Duration = Duration::from_secs(120);

/// A test: its name, and what it does.
pub type Test = (&'static str, fn());

/// The tests of a subject, by the names of their functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// The tests of this subject.
        pub const TESTS: &[$crate::runner::Test] = &[$((stringify!($name), $name)),*];
    };
}

/// What the command line asked for, in the words of `cargo test`.
struct Wish {
    list: bool,
    exact: bool,
    show: bool,
    at_a_time: usize,
    only: Vec<String>,
    skip: Vec<String>,
}

/// One test that has run.
struct Ran {
    good: bool,
    said: String,
    took: Duration,
}

/// Runs what the command line asks for.
pub fn run(subjects: &[(&str, &[Test])]) -> ExitCode {
    let wish = Wish::read();
    let names = subjects
        .iter()
        .flat_map(|(subject, tests)| tests.iter().map(move |(name, _)| format!("{subject}::{name}")));
    let names: Vec<_> = names.filter(|name| wish.wants(name)).collect();
    if wish.list {
        names.iter().for_each(|name| say(&format!("{name}: test\n")));
        return ExitCode::SUCCESS;
    }
    say(&format!("\nrunning {} tests\n", names.len()));
    if names.is_empty() {
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = cell::refused() {
        say(&format!("SKIPPED {} tests: {reason}\n", names.len()));
        return ExitCode::SUCCESS;
    }
    workloads::build();
    clock::build();
    let started = Instant::now();
    let failed = run_all(&names, &wish);
    let (good, took) = (names.len() - failed.len(), started.elapsed().as_secs_f32());
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    failed.iter().for_each(|name| say(&format!("failed: {name}\n")));
    say(&format!(
        "\ntest result: {result}. {good} passed; {} failed; finished in {took:.2}s\n",
        failed.len()
    ));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// Runs one test, here: this process is in its cell.
pub fn run_one(subjects: &[(&str, &[Test])], name: &str) -> ExitCode {
    let (subject, name) = name.split_once("::").unwrap();
    let (_, tests) = subjects.iter().find(|(found, _)| *found == subject).unwrap();
    let (_, test) = tests.iter().find(|(found, _)| *found == name).unwrap();
    test();
    ExitCode::SUCCESS
}

fn run_all(names: &[String], wish: &Wish) -> Vec<String> {
    let left = Mutex::new(names.iter());
    let failed = Mutex::new(Vec::new());
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..wish.at_a_time.min(names.len()) {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let ran = in_cell(name);
                    let result = if ran.good { "ok" } else { "FAILED" };
                    let mut text = format!("test {name} ... {result} ({:.2}s)\n", ran.took.as_secs_f32());
                    if !ran.good || wish.show {
                        text.push_str(&ran.said);
                    }
                    say(&text);
                    if !ran.good {
                        failed.lock().unwrap().push(name.clone());
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// Runs one test in a cell of its own.
fn in_cell(name: &str) -> Ran {
    let started = Instant::now();
    let (mut output, writer) = std::io::pipe().unwrap();
    let mut command = cell::command(name);
    command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    // It holds the pipe's other end, and reading ends only when nobody does.
    drop(command);
    let life = child.stdin.take().unwrap();
    let (ended, end) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let late = end.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
        drop(life);
        late
    });
    let mut said = Vec::new();
    output.read_to_end(&mut said).unwrap();
    let good = child.wait().unwrap().success();
    drop(ended);
    let mut said = String::from_utf8_lossy(&said).into_owned();
    if watchdog.join().unwrap() {
        said.push_str(&format!("it had not ended after {DEADLINE:?}\n"));
    }
    Ran { good, said, took: started.elapsed() }
}

impl Wish {
    fn read() -> Self {
        let mut wish =
            Self { list: false, exact: false, show: false, at_a_time: AT_A_TIME, only: vec![], skip: vec![] };
        let mut words = std::env::args().skip(1).flat_map(|word| match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
            _ => vec![word],
        });
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => wish.list = true,
                "--exact" => wish.exact = true,
                "--nocapture" | "--no-capture" | "--show-output" => wish.show = true,
                "--test-threads" => wish.at_a_time = words.next().and_then(|n| n.parse().ok()).unwrap_or(1),
                "--skip" => wish.skip.extend(words.next()),
                "--format" | "--color" | "-Z" => drop(words.next()),
                // What the other harness knows besides changes nothing here.
                flag if flag.starts_with('-') => {}
                _ => wish.only.push(word),
            }
        }
        wish
    }

    fn wants(&self, name: &str) -> bool {
        let fits =
            |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        (self.only.is_empty() || self.only.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}

/// Says it, whole, on stdout; in a test, for those who ask to see what it says.
pub fn say(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}
