//! What `mesh secret` and `mesh config` share: names, values from files and standard input, and what follows from a
//! new value for the apps that read it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use fabric::{Kind, RecordName};
use mycelium::api::{AppSettings, PlanAt, SettingsAt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use types::{AppName, SettingName};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::plans;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Sealed.
    Secret,
    /// Plain.
    Config,
}

/// What `set` takes.
#[derive(Debug, clap::Args)]
pub struct Given {
    /// Its name: that of the file which replicas read
    // A text: what a person puts here by mistake (NAME=VALUE) is not to be printed by the parser.
    name: OsString,
    /// What is refused: a value on the command line
    #[arg(hide = true, allow_hyphen_values = true)]
    value: Vec<OsString>,
    /// Only for this app; may be given more than once [default: as it is, or every app whose plan names it]
    #[arg(long = "app", value_name = "APP")]
    pub apps: Vec<AppName>,
    /// Read the value from this file [default: standard input]
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Leave the replicas that run as they are: they read the new value when they are started next
    #[arg(long)]
    pub no_restart: bool,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE")]
    pub operator: Option<String>,
}

/// What `rm` takes.
#[derive(Debug, clap::Args)]
pub struct Removal {
    /// Which
    name: SettingName,
    /// Even if an app's plan names it
    #[arg(long)]
    force: bool,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE")]
    operator: Option<String>,
}

impl Removal {
    /// Takes the record back.
    pub fn run(&self, context: &Context, what: What) -> Result<(), Failure> {
        let (name, kind) = (&self.name, what.kind());
        let operator = Operator::open(context, self.operator.as_deref())?;
        context.block_on(async {
            let at = operator.client().settings().await?;
            refuse_in_use(what, name, &at, self.force)?;
            let said = operator.unsay(kind, &RecordName::of_setting(name)).await?;
            let Some(receipt) = said else { return Err(no_such(what, name)) };
            context.out.note(format_args!("the {} {name} is removed ({})", what.word(), receipt.safe));
            Ok(())
        })
    }
}

/// There is none of that name.
pub fn no_such(what: What, name: &SettingName) -> Failure {
    let word = what.word();
    Failure::new(format_args!("there is no {word} {name}"))
        .hint(format_args!("`mesh {word} list` shows those there are; `mesh {word} set {name}` makes it"))
}

impl What {
    /// The kind of its records.
    const fn kind(self) -> Kind {
        match self {
            Self::Secret => Kind::Secret,
            Self::Config => Kind::Config,
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

impl Given {
    /// The name and the value, without either being printed where it may be the other.
    pub fn read(&self, what: What, most: usize) -> Result<(SettingName, Zeroizing<Vec<u8>>), Failure> {
        let word = what.word();
        let way_out = format!("pipe it in (mesh {word} set NAME < FILE), or name a file: --from-file FILE");
        let named = self.name.to_str().and_then(|text| SettingName::new(text).ok());
        let Some(name) = named.filter(|_| self.value.is_empty()) else {
            let assigned = self.name.as_encoded_bytes().contains(&b'=');
            return Err(if assigned || !self.value.is_empty() {
                Failure::usage("a value on the command line is seen by everybody on this machine, and kept in the shell's history")
                    .hint(way_out)
            } else {
                Failure::usage(format_args!(
                    "this can't be the name of a {word}: 1 to 63 of a-z, 0-9 and '-', with no '-' at either end"
                ))
            });
        };
        let value = match &self.from_file {
            Some(path) => from_file(path, most)?,
            None => from_stdin(what, &name, most)?,
        };
        Ok((name, value))
    }

    /// The apps it is for, where `before` is for whom it was.
    pub fn apps(&self, before: Option<&BTreeSet<AppName>>) -> BTreeSet<AppName> {
        if self.apps.is_empty() {
            before.cloned().unwrap_or_default()
        } else {
            self.apps.iter().cloned().collect()
        }
    }
}

fn from_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |e| Failure::new(format_args!("failed to read {}: {e}", path.display()));
    bounded(File::open(path).map_err(failed)?, most, &path.display().to_string())
}

fn from_stdin(what: What, name: &SettingName, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return bounded(stdin.lock(), most, "standard input");
    }
    let prompt = |text: &str| eprint_raw(text);
    prompt(&format!("value of the {} {name}, which is not shown; Enter ends it: ", what.word()));
    let silent = Silent::new()?;
    let mut value = Zeroizing::new(Vec::with_capacity(most + 1));
    let mut byte = Zeroizing::new([0]);
    let mut stdin = stdin.lock();
    while value.len() <= most {
        let read = stdin.read(byte.as_mut_slice());
        if read.map_err(|e| Failure::new(format_args!("failed to read the value: {e}")))? == 0
            || byte[0] == b'\n'
        {
            break;
        }
        value.push(byte[0]);
    }
    drop(silent);
    prompt("\n");
    checked(value, most, "what was typed")
}

fn eprint_raw(text: &str) {
    use std::io::Write as _;
    let mut stderr = std::io::stderr().lock();
    // Nobody is left to ask when stderr is gone.
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// A terminal that doesn't show what is typed, for as long as this lives.
struct Silent(rustix::termios::Termios);

impl Silent {
    fn new() -> Result<Self, Failure> {
        let failed = |e| {
            Failure::new(format_args!("failed to keep the terminal from showing the value: {e}"))
                .hint("pipe it in, or name a file: --from-file FILE")
        };
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// All of it, at most `most` bytes. The room is taken at once: growing would leave copies behind.
fn bounded(from: impl Read, most: usize, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut value = Zeroizing::new(Vec::with_capacity(most + 1));
    let read = from.take(most as u64 + 1).read_to_end(&mut value);
    read.map_err(|e| Failure::new(format_args!("failed to read {what}: {e}")))?;
    checked(value, most, what)
}

fn checked(value: Zeroizing<Vec<u8>>, most: usize, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match value.len() {
        0 => Err(Failure::usage(format_args!("{what} is empty: there is nothing to set"))),
        bytes if bytes > most => Err(Failure::usage(format_args!("{what} holds more than {most} bytes"))
            .hint("what is larger belongs into the spore's files, or in a store of its own")),
        _ => Ok(value),
    }
}

/// What a person may not have meant.
pub fn note_line_end(context: &Context, value: &[u8]) {
    if value.ends_with(b"\n") && value.iter().filter(|byte| **byte == b'\n').count() == 1 {
        context.out.note("the value ends with a line end, and is kept so; `printf %s` writes none");
    }
}

/// Has every app that names it run with `version` of it: its replicas are replaced as by any other change.
pub async fn roll_out(
    context: &Context,
    operator: &Operator,
    (what, name, version): (What, &SettingName, u64),
    at: &SettingsAt,
) -> Result<(), Failure> {
    for app in users(what, name, at) {
        let written =
            operator.change_plan(app, |at: &PlanAt| Ok(plans::renew(at, (what, name), version))).await?;
        if let Some(written) = written {
            context.out.note(format_args!(
                "{app} takes it over: plan {} is written ({}); `mesh status` shows how far it is",
                written.generation, written.safe
            ));
        }
    }
    Ok(())
}

/// The apps whose plans name it.
pub fn users<'a>(what: What, name: &SettingName, at: &'a SettingsAt) -> Vec<&'a AppName> {
    let apps = at.apps.iter();
    let of = |app: &&AppSettings| match what {
        What::Secret => app.secrets.contains(name),
        What::Config => app.config.contains(name),
    };
    apps.filter(of).map(|app| &app.app_name).collect()
}

/// Refuses to remove what plans name.
fn refuse_in_use(what: What, name: &SettingName, at: &SettingsAt, force: bool) -> Result<(), Failure> {
    let users = users(what, name, at);
    if users.is_empty() || force {
        return Ok(());
    }
    let word = what.word();
    let users: Vec<&str> = users.into_iter().map(AppName::as_str).collect();
    Err(Failure::new(format_args!(
        "the plan of {} names the {word} {name}: no new replica would start without it",
        users.join(", ")
    ))
    .hint(format_args!(
        "deploy without it first: mesh deploy … --drop-{word} {name}; or remove it all the same: --force"
    )))
}
