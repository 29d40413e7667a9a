//! The live view: the apps, and what happens, until somebody has seen enough.
//!
//! On a terminal it is drawn over again with each event and every second; elsewhere events follow each other.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use mycelium::api::MeshStatus;
use mycelium::client::Client;
use telemetry::Event;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::failure::Failure;
use crate::out::{Out, Paint};
use crate::rollout;
use crate::table::width;
use crate::view;

/// How often the counters are read when nothing happens.
const REFRESH: Duration = Duration::from_secs(1);
/// How many events stand below the table.
const EVENTS: usize = 6;
/// How wide a terminal is that doesn't say.
const WIDTH: usize = 100;

/// Shows the mesh until it can't be written any more, which is why.
pub async fn watch(context: &Context, client: &Client, own: bool) -> Failure {
    let shown = if io::stdout().is_terminal() {
        on_terminal(&context.out, client, own).await
    } else {
        as_lines(&context.out, client, own).await
    };
    match shown {
        Ok(()) => Failure::new("the view ended"),
        Err(failure) => failure,
    }
}

async fn as_lines(out: &Out, client: &Client, own: bool) -> Result<(), Failure> {
    let mut events = rollout::events(client, None).await.ok();
    out.line(view::apps(out, &client.status().await?).render())?;
    out.note(what_next(own));
    loop {
        if let Some(event) = rollout::next(&mut events).await {
            out.line(view::event(out, &event))?;
        }
    }
}

async fn on_terminal(out: &Out, client: &Client, own: bool) -> Result<(), Failure> {
    let mut events = rollout::events(client, None).await.ok();
    let mut last: VecDeque<Event> = VecDeque::new();
    let (mut drawn, mut lines) = (0, Vec::new());
    loop {
        // Between two meshes there may be none: what was drawn stays.
        if let Ok(status) = client.status().await {
            let now = block(out, &status, &last, own);
            if now != lines {
                drawn = draw(out, &now, drawn)?;
                lines = now;
            }
        }
        if events.is_none() {
            events = rollout::events(client, None).await.ok();
        }
        let event = tokio::select! {
            event = rollout::next(&mut events) => event,
            () = sleep_until(Instant::now() + REFRESH) => None,
        };
        if let Some(event) = event {
            last.push_back(event);
            if last.len() > EVENTS {
                last.pop_front();
            }
        }
    }
}

fn block(out: &Out, status: &MeshStatus, last: &VecDeque<Event>, own: bool) -> Vec<String> {
    let nodes = status.nodes.len();
    let head = format!(
        "{} {}   {nodes} {}   {}",
        out.paint(Paint::Bold, "mesh"),
        status.version,
        if nodes == 1 { "node" } else { "nodes" },
        status.edge.url
    );
    let mut lines = vec![String::new(), head, String::new()];
    lines.extend(view::apps(out, status).render().lines().map(str::to_owned));
    lines.extend(view::remarks(out, status));
    if !last.is_empty() {
        lines.push(String::new());
    }
    lines.extend(last.iter().map(|event| view::event(out, event)));
    lines.extend([String::new(), out.paint(Paint::Dim, what_next(own))]);
    lines
}

fn what_next(own: bool) -> &'static str {
    if own { "Ctrl-C stops the mesh" } else { "Ctrl-C ends this view; the mesh goes on" }
}

/// Draws over what was drawn before; how many lines that is now.
fn draw(out: &Out, lines: &[String], before: usize) -> Result<usize, Failure> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|s| usize::from(s.ws_col)).filter(|c| *c > 0).unwrap_or(WIDTH);
    let rows = size.map(|s| usize::from(s.ws_row)).filter(|r| *r > 1).unwrap_or(usize::MAX);
    let shown = lines.len().min(rows - 1);
    let mut text = String::new();
    if before > 0 {
        text.push_str(&format!("\x1b[{before}A"));
    }
    text.push_str("\x1b[J");
    for line in &lines[..shown] {
        text.push_str(&cut(line, columns));
        text.push('\n');
    }
    out.raw(text.as_bytes())?;
    Ok(shown)
}

/// A line that fits, colours closed.
fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let (mut text, mut seen, mut escaped) = (String::new(), 0, false);
    for c in line.chars() {
        if escaped || c == '\x1b' {
            escaped = c != 'm';
        } else {
            seen += 1;
            if seen == columns {
                break;
            }
        }
        text.push(c);
    }
    text.push_str("…\x1b[0m");
    text
}

#[cfg(test)]
mod tests;
