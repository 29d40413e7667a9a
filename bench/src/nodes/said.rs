//! Said: what a node wrote down of what happened, and when, in the file that it keeps of it.
//!
//! Read afterwards: nobody is asked while something is measured.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;
use types::Timestamp;

use super::Node;

/// One event.
#[derive(Debug, Clone)]
pub struct Said {
    /// Milliseconds since the epoch.
    pub at: f64,
    /// Which kind.
    pub kind: String,
    /// Of which app.
    pub app: String,
    /// For people.
    pub message: String,
}

impl Node {
    /// Every event since a moment, oldest first.
    pub fn said(&self, since: f64) -> Result<Vec<Said>> {
        let text = fs::read_to_string(self.state.join("events/current.ndjson"))?;
        let mut all: Vec<Said> = text.lines().filter_map(parse).collect();
        // They are written in whole milliseconds.
        all.retain(|said| said.at + 1.0 > since);
        Ok(all)
    }
}

fn parse(line: &str) -> Option<Said> {
    let event: Value = serde_json::from_str(line).ok()?;
    let at: Timestamp = serde_json::from_value(event["at"].clone()).ok()?;
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let at = precise(at.as_millis());
    Some(Said { at, kind: text("kind"), app: text("appName"), message: text("message") })
}

/// Milliseconds since the epoch, by the clock that events are written with.
pub fn millis_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium")]
fn precise(millis: u64) -> f64 {
    millis as f64
}
