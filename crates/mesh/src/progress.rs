//! Something that takes a while: a spinner on a terminal, a plain line before and after everywhere else.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::out::{Out, Paint};
use crate::span::short;

/// A step that is being taken.
pub struct Step {
    out: Out,
    bar: ProgressBar,
    started: Instant,
    live: bool,
}

impl Step {
    /// Starts one: `what` is a phrase like `building billing`.
    #[must_use]
    pub fn start(out: &Out, what: &str) -> Self {
        let live = io::stderr().is_terminal() && !out.is_quiet();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if live {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}").expect("a valid template"),
            );
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
        } else {
            out.note(format_args!("{what} …"));
        }
        Self { out: *out, bar, started: Instant::now(), live }
    }

    /// Says what is going on just now; seen on a terminal only.
    pub fn now(&self, what: impl Into<String>) {
        if self.live {
            self.bar.set_message(what.into());
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        if self.live {
            self.bar.println(line);
        } else {
            self.out.note(line);
        }
    }

    /// A part of it is done.
    pub fn good(&self, what: &str) {
        self.say(&format!("{} {what}", self.out.paint_err(Paint::Green, "✓")));
    }

    /// A part of it failed.
    pub fn bad(&self, what: &str) {
        self.say(&format!("{} {what}", self.out.paint_err(Paint::Red, "✗")));
    }

    /// Ends it well: `what` is a phrase like `built billing`.
    pub fn done(self, what: &str) {
        let elapsed = self.started.elapsed();
        if elapsed < Duration::from_secs(1) {
            self.good(what);
        } else {
            self.good(&format!("{what} {}", self.out.paint_err(Paint::Dim, short(elapsed))));
        }
        self.over();
    }

    /// Ends it without a word: whoever called says how.
    pub fn over(self) {
        self.bar.finish_and_clear();
    }
}
