//! Runs the build commands of a `mesh.toml`. Their output is shown when they fail, or with `-v` as it comes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Command;

use crate::context::Context;
use crate::failure::Failure;
use crate::progress::Step;
use crate::table::width;

/// How much of a failed command's output is shown.
const SHOWN_LINES: usize = 200;
/// How much of a line fits beside a spinner.
const LINE: usize = 60;

/// Runs `command` with the shell in `folder`. When the future is dropped, it is told to end.
pub async fn build(context: &Context, name: &str, command: &str, folder: &Path) -> Result<(), Failure> {
    let step = Step::start(&context.out, &format!("building {name}"));
    match run(context, &step, name, command, folder).await {
        Ok(()) => {
            step.done(&format!("built {name}"));
            Ok(())
        }
        Err(failure) => {
            step.over();
            Err(failure)
        }
    }
}

async fn run(
    context: &Context,
    step: &Step,
    name: &str,
    command: &str,
    folder: &Path,
) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::new(format_args!("failed to run the build command of {name}: {e}"));
    let (writer, reader) = pipe::pipe().map_err(failed)?;
    let writer = writer.into_blocking_fd().map_err(failed)?;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).process_group(0);
    shell.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let mut child = shell.spawn().map_err(failed)?;
    let group = Group(child.id());
    // The command keeps its own ends: without ours the pipe ends when it does.
    drop(shell);
    let mut last = VecDeque::new();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).await.map_err(failed)? > 0 {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if context.verbose {
            step.say(&line);
        } else if !line.is_empty() {
            step.now(format!("building {name}: {}", cut(&line)));
        }
        last.push_back(line);
        if last.len() > SHOWN_LINES {
            last.pop_front();
        }
    }
    let status = child.wait().await.map_err(failed)?;
    group.over();
    if status.success() {
        return Ok(());
    }
    if !context.verbose {
        step.say(&format!("the output of `{command}`:"));
        for line in &last {
            step.say(&format!("  {line}"));
        }
    }
    Err(Failure::new(format_args!("the build command of {name} failed ({status}): {command}"))
        .hint(format_args!("it ran in {}", folder.display())))
}

/// A command with all it started: told to end when it is given up.
struct Group(Option<u32>);

impl Group {
    /// It has ended by itself.
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            // It may just have ended, which is as good.
            let _ = kill_process_group(leader, Signal::TERM);
        }
    }
}

fn cut(line: &str) -> String {
    if width(line) <= LINE {
        return line.to_owned();
    }
    line.chars().filter(|c| !c.is_control()).take(LINE).collect::<String>() + "…"
}
