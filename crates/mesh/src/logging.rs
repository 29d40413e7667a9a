//! The daemon's own log: for people or as JSON, to stderr or to a bounded file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;

/// What one log file may hold; the one before it is kept.
const FILE_BYTES: u64 = 4 << 20;
/// The variable that says more or less: `debug`, `mycelium=trace`, …
const FILTER: &str = "MESH_LOG";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// Where the daemon's log goes from now on.
pub fn start(format: Format, file: Option<&Path>, colour: bool) -> Result<(), Failure> {
    let filter = match std::env::var(FILTER) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).map_err(|e| Failure::usage(format_args!("{FILTER}={text}: {e}")))?
        }
        _ => EnvFilter::new("info"),
    };
    let sink =
        match file {
            Some(path) => Sink::File(Arc::new(Mutex::new(Rotating::open(path).map_err(|e| {
                Failure::new(format_args!("failed to open the log {}: {e}", path.display()))
            })?))),
            None => Sink::Stderr,
        };
    let ansi = file.is_none() && colour && io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink).with_target(false);
    let begun = match format {
        Format::Human => lines.with_ansi(ansi).finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    begun.map_err(|e| Failure::new(format_args!("failed to start the log: {e}")))
}

/// Where lines go.
#[derive(Clone)]
enum Sink {
    Stderr,
    File(Arc<Mutex<Rotating>>),
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(bytes),
            Self::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that becomes `NAME.1` when it is full.
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Rotating {
    fn open(path: &Path) -> io::Result<Self> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes >= FILE_BYTES {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            match fs::rename(&self.path, old) {
                // An earlier try got so far.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
            *self = Self::open(&self.path)?;
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }
}

/// Opens a log for its owner only; whoever else writes to it appends as well.
pub fn append_to(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
