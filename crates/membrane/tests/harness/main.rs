//! A program for the tests: a keeper, as `mesh keeper` is one, and a client to be killed.

#![expect(clippy::unwrap_used, reason = "a test program ends at the first surprise")]

mod attempts;
mod greed;
mod load;
mod reach;
mod talk;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use membrane::{Exit, Keeper, KeeperConfig, LogLimits, Program, Spawn};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "keeper", "--dir", dir] => membrane::keeper_main(Path::new(dir)),
        [_, "shout", bytes] => shout(bytes.parse().unwrap()),
        [_, "exec", pid, ..] => exec(pid.parse().unwrap(), &args[3..]),
        [_, "greed", ..] => greed::run(&args[2..]),
        [_, "attempt", ..] => attempts::run(&args[2..]),
        [_, "reach", ..] => reach::run(&args[2..]),
        [_, "storm", count] => load::storm(count.parse().unwrap()),
        [_, "pour", port, bytes] => load::pour(port.parse().unwrap(), bytes.parse().unwrap()),
        [_, "ask", port, count, bytes] => {
            load::ask(port.parse().unwrap(), count.parse().unwrap(), bytes.parse().unwrap())
        }
        [_, "serve", port] => load::serve(port.parse().unwrap()),
        [_, "hear"] => reach::hear(),
        [_, "echo", ..] => talk::echo(&args[2..]),
        [_, "talk", ..] => talk::ask(&args[2..]),
        [_, "client", dir, logs, script] => client(dir, logs, script),
        _ => ExitCode::from(64),
    }
}

/// Writes that much to standard output at once, lets it stand in the pipe, and ends.
fn shout(bytes: usize) -> ExitCode {
    rustix::pipe::fcntl_setpipe_size(std::io::stdout(), 1 << 20).unwrap();
    let text = b"of a dying process\n".iter().copied().cycle().take(bytes).collect::<Vec<u8>>();
    std::io::stdout().write_all(&text).unwrap();
    ExitCode::SUCCESS
}

/// Runs a command where the process `pid` lives, and ends as it does.
fn exec(pid: u32, command: &[String]) -> ExitCode {
    match membrane::exec_in(pid, command).unwrap() {
        Exit::Code(code) => ExitCode::from(u8::try_from(code).unwrap()),
        Exit::Signal(signal) => ExitCode::from(128 + u8::try_from(signal).unwrap()),
    }
}

/// Starts `script` in a shell as `orphan`, leaves a listening socket with the keeper, says its port, and
/// stays until it is killed.
#[tokio::main(flavor = "current_thread")]
async fn client(dir: &str, logs: &str, script: &str) -> ExitCode {
    let config = KeeperConfig {
        dir: PathBuf::from(dir),
        program: std::env::current_exe().unwrap(),
        log_limits: LogLimits::default(),
    };
    let (keeper, _, _events) = Keeper::attach(config).await.unwrap();
    let spawn = Spawn {
        id: "orphan".to_owned(),
        program: Program::Path("/bin/sh".into()),
        arg0: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        logs: PathBuf::from(logs),
        note: "of a client that is gone".to_owned(),
        skin: None,
        files: Vec::new(),
        limits: None,
    };
    keeper.spawn(spawn).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    keeper.keep_sockets("edge", vec![listener.into()]).await.unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{port}").unwrap();
    let mut never = [0];
    let _ = std::io::stdin().read(&mut never);
    ExitCode::SUCCESS
}
