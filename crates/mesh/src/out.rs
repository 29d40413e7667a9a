//! What people and programs read: data on stdout, everything else on stderr, plain where there is no terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::exit::Code;
use crate::failure::Failure;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Headings and names.
    Bold,
    /// What matters less.
    Dim,
    /// It works.
    Green,
    /// It is on its way, or wants attention.
    Yellow,
    /// It doesn't work.
    Red,
}

/// The two streams of a command.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    stdout_colour: bool,
    stderr_colour: bool,
    quiet: bool,
}

impl Out {
    /// Streams that are coloured as asked.
    #[must_use]
    pub fn new(colour: Colour, quiet: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let paints = |terminal: bool| match colour {
            Colour::Auto => terminal && !plain,
            Colour::Always => true,
            Colour::Never => false,
        };
        Self {
            stdout_colour: paints(io::stdout().is_terminal()),
            stderr_colour: paints(io::stderr().is_terminal()),
            quiet,
        }
    }

    /// One line (or several) of data.
    pub fn line(&self, text: impl Display) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(stdout_failed)
    }

    /// Data as it stands, without a line end.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(stdout_failed)
    }

    /// Data as indented JSON.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string_pretty(value).expect("plain data always serialises"))
    }

    /// Data as one line of JSON.
    pub fn ndjson(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).expect("plain data always serialises"))
    }

    /// Something a person may want to know.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.stderr(text);
        }
    }

    /// Something a person should know.
    pub fn warn(&self, text: impl Display) {
        self.stderr(format_args!("{}: {text}", self.paint_err(Paint::Yellow, "warning")));
    }

    /// The end of a command that failed.
    pub fn failure(&self, failure: &Failure, verbose: bool) {
        if failure.error.is_empty() {
            return;
        }
        if failure.code == Code::Ok {
            return self.note(&failure.error);
        }
        self.stderr(format_args!("{}: {}", self.paint_err(Paint::Red, "error"), failure.error));
        if verbose {
            for cause in &failure.causes {
                self.stderr(format_args!("{}: {cause}", self.paint_err(Paint::Dim, "cause")));
            }
        }
        if let Some(hint) = &failure.hint {
            self.stderr(format_args!("{}: {hint}", self.paint_err(Paint::Bold, "hint")));
        }
    }

    /// Whether people are spared everything but data, warnings and errors.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stderr is coloured.
    #[must_use]
    pub const fn colours_stderr(&self) -> bool {
        self.stderr_colour
    }

    /// `text` as it stands out on stdout.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        painted(self.stdout_colour, paint, text)
    }

    /// `text` as it stands out on stderr.
    #[must_use]
    pub fn paint_err(&self, paint: Paint, text: impl Display) -> String {
        painted(self.stderr_colour, paint, text)
    }

    fn stderr(&self, text: impl Display) {
        // Nobody is left to tell when stderr is gone.
        drop(writeln!(io::stderr().lock(), "{text}"));
    }
}

fn painted(colour: bool, paint: Paint, text: impl Display) -> String {
    if !colour {
        return text.to_string();
    }
    let code = match paint {
        Paint::Bold => 1,
        Paint::Dim => 2,
        Paint::Green => 32,
        Paint::Yellow => 33,
        Paint::Red => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// A reader that has seen enough (`mesh events | head`) is no error.
fn stdout_failed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new("").code(Code::Ok);
    }
    Failure::new(format_args!("cannot write to stdout: {error}"))
}
