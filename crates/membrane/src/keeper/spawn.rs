//! Starting a workload.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};

use super::pace::Pace;
use super::relayed::Relayed;
use super::replica::{Key, Order, Part, Replica};
use super::server::{Server, now};
use crate::launch::{Failed, Launch, Program, Started, Step, most_files};
use crate::log::LogWriter;
use crate::marker;
use crate::skin::{Bound, Grown, Means};
use crate::tree::Tree;
use crate::wire::{Failure, FailureKind, Process, SpawnArgs};

/// The longest id; it stands in each process' environment.
const MAX_ID: usize = 512;
/// The longest note; it stays in the keeper's memory.
pub(super) const MAX_NOTE: usize = 64 << 10;

impl Server {
    /// Starts a workload; on an error there is no process and nothing to clean up.
    pub fn spawn(&mut self, args: SpawnArgs, mut fds: Vec<OwnedFd>) -> Result<Process, Failure> {
        self.check(&args, &fds)?;
        let failed = |what: &str, error: &io::Error| Failure {
            kind: FailureKind::Launch,
            text: format!("run {}: {what}{error}", args.program.display()),
        };
        let (stdout, stdout_end) = pipe().map_err(|e| failed("", &e))?;
        let (stderr, stderr_end) = pipe().map_err(|e| failed("", &e))?;
        let place = self.hold(&args)?;
        let guarded = place.as_ref().is_some_and(|place| place.guarded);
        let (held, doors) = place.map(|place| (place.held, place.doors)).unzip();
        let group = doors.as_ref().and_then(|doors| doors.into.as_ref()).map(AsFd::as_fd);
        let network = self.reach(&args, group, guarded)?;
        let skin = self.skin(&args, fds.split_off(usize::from(args.by_descriptor)), network)?;
        let joins: Vec<_> = doors.iter().flat_map(|doors| &doors.tasks).map(AsFd::as_fd).collect();
        let executable = fds.pop();
        let marker = marker::entry(&self.unique, &args.id);
        let launch = Launch {
            program: match &executable {
                Some(fd) => Program::Descriptor(fd.as_fd()),
                None => Program::Path,
            },
            path: path(&args.program)?,
            argv: [&args.arg0]
                .into_iter()
                .chain(&args.args)
                .map(|arg| text(arg))
                .collect::<Result<_, _>>()?,
            envp: environment(&args.env, &marker)?,
            cwd: path(&args.cwd)?,
            stdio: [self.null.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()],
            skin: skin.as_ref(),
            group,
            joins: &joins,
            open_files: open_files(&args)?,
        };
        let key = self.next_replica;
        self.watch_pipe(stdout.as_fd(), key, 0).map_err(|e| failed("", &e))?;
        self.watch_pipe(stderr.as_fd(), key, 1).map_err(|e| failed("", &e))?;
        self.watch_memory(key, held.as_ref()).map_err(|e| failed("", &e))?;
        let started = launch.start().inspect(|started| held.iter().for_each(|held| held.begin(started.pid)));
        let Started { pid, host, relay } =
            started.map_err(|Failed { step, error }| failed(&explain(&step, &error, &args), &error))?;
        // Only now, since making a file may take longer than starting a process: the two go on side by side.
        let log = LogWriter::open(&args.logs, args.limits, None).map_err(|error| {
            end(pid, host.into_iter().chain(relay));
            failed(&format!("its log in {} can't be written: ", args.logs.display()), &error)
        })?;
        let replica = Replica {
            mounts: host.and_then(|host| mounts(host.as_raw_nonzero().get())),
            id: args.id,
            pid: pid.as_raw_nonzero().get(),
            started_at: now(),
            note: args.note,
            tree: Tree::new(pid.as_raw_nonzero().get(), host.map(|host| host.as_raw_nonzero().get()), marker),
            relay: relay.map(|relay| Relayed::new(relay.as_raw_nonzero().get())),
            held,
            pipes: [Some(stdout), Some(stderr)],
            pace: Pace::new(log.limits().rate, Instant::now()),
            log: Some(log),
            order: Order::Run,
            exit: None,
            oom: None,
            cut: false,
            ended: false,
        };
        Ok(self.enter(key, replica))
    }

    /// Takes note of who was started, by us or by the keeper before.
    pub fn enter(&mut self, key: Key, replica: Replica) -> Process {
        let process = replica.report();
        self.next_replica += 1;
        self.ids.insert(process.id.clone(), key);
        let main = replica.exit.is_none().then_some((replica.pid, Part::Main));
        let host = replica.tree.host().map(|host| (host, Part::Host));
        let relay = replica.relay.as_ref().map(|relay| (relay.pid, Part::Relay));
        let children = main.into_iter().chain(host).chain(relay);
        self.children.extend(children.map(|(pid, part)| (pid, (key, part))));
        self.replicas.insert(key, replica);
        process
    }

    fn check(&self, args: &SpawnArgs, fds: &[OwnedFd]) -> Result<(), Failure> {
        check(args, fds)?;
        if self.leaving.is_some() {
            return Err(refused("the keeper is ending".to_owned()));
        }
        if self.ids.contains_key(&args.id) {
            return Err(Failure { kind: FailureKind::Exists, text: format!("{} exists already", args.id) });
        }
        Ok(())
    }
}

impl Server {
    /// Lays out what confines it, and the files that it is given.
    fn skin(
        &mut self,
        args: &SpawnArgs,
        given: Vec<OwnedFd>,
        network: bool,
    ) -> Result<Option<Grown>, Failure> {
        let Some(skin) = &args.skin else { return Ok(None) };
        let named = args.files.iter().cloned().zip(given);
        let bound = named.map(|(name, content)| Bound { name, content }).collect();
        let grown = skin.grow(bound, self.means(), network);
        grown.map(Some).map_err(|lack| refused(format!("confine {}: {lack}", args.program.display())))
    }

    /// What workloads can be confined with.
    pub fn means(&mut self) -> &Means {
        // One that couldn't make a room may have been too busy.
        let means = self.means.take().filter(Means::are_final).unwrap_or_else(Means::find);
        self.means.insert(means)
    }
}

/// How many descriptors it asks for, if there are as many.
fn open_files(args: &SpawnArgs) -> Result<u32, Failure> {
    let asked = args.budget.map_or(0, |limits| limits.open_files);
    let most = most_files();
    if u64::from(asked) > most {
        let text = format!(
            "limit {}: it asks for {asked} open files, and this node can give {most} (ulimit -Hn; LimitNOFILE= of its unit)",
            args.program.display()
        );
        return Err(refused(text));
    }
    Ok(asked)
}

/// The mounts of a room, by its process 1.
pub(super) fn mounts(host: i32) -> Option<OwnedFd> {
    std::fs::File::open(format!("/proc/{host}/ns/mnt")).ok().map(OwnedFd::from)
}

/// What was started is not to be.
fn end(pid: Pid, others: impl Iterator<Item = Pid>) {
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    for pid in [pid].into_iter().chain(others) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    }
}

fn check(args: &SpawnArgs, fds: &[OwnedFd]) -> Result<(), Failure> {
    let wrong = if args.id.is_empty() || args.id.len() > MAX_ID {
        "its id is empty or too long"
    } else if args.note.len() > MAX_NOTE {
        "its note is too long"
    } else if fds.len() != usize::from(args.by_descriptor) + args.files.len() {
        "descriptors are missing, or too many"
    } else if args.skin.is_none() && !args.files.is_empty() {
        "files are given to what is confined only"
    } else if !args.cwd.is_absolute() || !args.logs.is_absolute() {
        "its folders must be absolute paths"
    } else if !args.by_descriptor && !args.program.is_absolute() {
        "its program must be an absolute path"
    } else {
        return Ok(());
    };
    Err(refused(format!("run {:?}: {wrong}", args.id)))
}

/// What the bare error doesn't say.
fn explain(step: &Step, error: &io::Error, args: &SpawnArgs) -> String {
    match (step, error.raw_os_error()) {
        (Step::Clone, _) => "no process could be made: ".to_owned(),
        (Step::Prepare, _) => "its surroundings could not be prepared: ".to_owned(),
        (Step::Room(what), _) => format!("its room could not be made: {what}: "),
        (Step::Relay, _) => "its network could not be made: ".to_owned(),
        (Step::Confine, _) => "it can't be confined: ".to_owned(),
        (Step::Enter, _) => format!("its folder {} can't be entered: ", args.cwd.display()),
        (Step::Execute, Some(libc::ENOENT)) if args.by_descriptor || args.program.exists() => {
            "the interpreter or dynamic loader it names does not exist: ".to_owned()
        }
        (Step::Execute, Some(libc::ENOEXEC)) => "it is not a program for this machine: ".to_owned(),
        (Step::Execute, Some(libc::ETXTBSY)) => "somebody is still writing it: ".to_owned(),
        (Step::Execute, _) => String::new(),
    }
}

/// The end the keeper reads from, never waiting, and the one the workload writes to.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
    Ok((read, write))
}

fn environment(env: &[(String, String)], marker: &str) -> Result<Vec<CString>, Failure> {
    let given = env.iter().filter(|(name, _)| name != marker::VARIABLE);
    given.map(|(name, value)| text(&format!("{name}={value}"))).chain([text(marker)]).collect()
}

fn text(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| refused(format!("run a program: a zero byte stands in {text:?}")))
}

fn path(path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| refused(format!("run a program: a zero byte stands in {}", path.display())))
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}
