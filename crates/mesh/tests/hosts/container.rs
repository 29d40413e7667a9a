//! `mesh` as the first process of a container: it buries what the kernel hands it, and takes all with it when it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;
use crate::http::at;
use crate::lan::Lan;
use crate::node::{gone, until};
use crate::tests;
use crate::workloads::spore;

tests!(process_1_buries_orphans_and_ends_with_all_it_started);

/// `mesh run` as process 1 of a namespace in a host, and its URL.
fn contained(host: &Host) -> (Child, String) {
    let mesh = host.command();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(mesh.get_program());
    command.args(["run", "-edge", ":0"]).current_dir(host.work()).stdin(Stdio::null()).stdout(Stdio::piped());
    for (name, value) in mesh.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut child = host.space().inside(|| command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, at(line.trim(), host.v4()))
}

/// The processes of a host whose command line holds this.
fn processes(host: &Host, what: &str) -> Vec<Pid> {
    host.processes().into_iter().filter(|(_, line)| line.contains(what)).map(|(pid, _)| pid).collect()
}

/// Processes that ended and that nobody has buried, wherever they lived.
fn unburied() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(") Z ")).collect()
}

/// Process 1 of the namespace, by its number here.
fn first(host: &Host) -> Pid {
    let is_first = |pid: &Pid| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
    };
    processes(host, " run -edge").into_iter().find(is_first).unwrap()
}

fn process_1_buries_orphans_and_ends_with_all_it_started() {
    let lan = Lan::new(1);
    let host = lan.host(0);
    let (mut container, url) = contained(host);
    host.mesh(&format!("deploy {} -instances 2", spore(host, "billing", "v0.1.0"))).good();
    assert_eq!(host.get(&format!("{url}/billing/hello")).unwrap().status, 200);
    let mut upgrade = Command::new("nsenter");
    upgrade.arg(format!("--target={}", first(host).as_raw_pid())).args(["--pid", "--mount"]);
    upgrade.arg(env!("CARGO_BIN_EXE_mesh")).arg("upgrade").env("MESH_STATE", host.state());
    let refused = host.run("upgrade", &mut upgrade).ended(1);
    assert!(refused.stderr.contains("start a container of the new image"), "{refused:?}");
    // Its parent left at once, so it is process 1's to bury.
    let keeper = processes(host, " keeper --dir")[0];
    kill_process(keeper, Signal::KILL).unwrap();
    until("the keeper is buried", || {
        let left = unburied();
        if gone(keeper, Duration::ZERO) && left.is_empty() { Ok(()) } else { Err(left) }
    });
    until("billing answers again", || match host.get(&format!("{url}/billing/hello")) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(other),
    });
    kill_process(first(host), Signal::TERM).unwrap();
    assert!(container.wait().unwrap().success());
    assert_eq!(host.processes(), []);
}
