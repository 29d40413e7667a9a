//! A terminal's other screen, and the way back from it.

use std::io::{Write as _, stdout};

use crate::failure::Failure;

/// The other screen, without a cursor. What was there before is there again once this is dropped.
pub struct Screen(());

impl Screen {
    /// Turns to it.
    pub fn open() -> Result<Self, Failure> {
        let screen = Self(());
        write("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    /// Shows `text` from the top, as much of it as there are lines.
    pub fn show(&mut self, text: &str) -> Result<(), Failure> {
        let lines =
            rustix::termios::tcgetwinsize(stdout()).map_or(24, |size| usize::from(size.ws_row.max(2)));
        let mut frame = String::from("\x1b[H");
        for line in text.lines().take(lines - 1) {
            frame.push_str(line);
            // what stood behind it goes, and it isn't wrapped into the next
            frame.push_str("\x1b[K\r\n");
        }
        frame.push_str("\x1b[J");
        write(&frame)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell when the terminal is gone.
        drop(write("\x1b[?25h\x1b[?1049l"));
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::new(format_args!("cannot write to the terminal: {error}")))
}
