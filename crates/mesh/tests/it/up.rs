//! `mesh up` and `mesh down`

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, kill, workload};

fn described() -> Place {
    let place = Place::new();
    place.write(
        "mesh.toml",
        &format!(
            "[mesh]\nnodes = 2\nedge = \"127.0.0.1:0\"\nwarmup = \"100ms\"\n[app.billing]\nmanifest = \"billing.json\"\n\
             build = \"cp {} made\"\nbinary = \"made\"\ninstances = 2\n",
            workload("billing").display()
        ),
    );
    place
}

#[test]
fn up_brings_everything_and_ctrl_c_leaves_nothing() {
    let place = described();
    let mut child =
        place.command().arg("up").stdout(Stdio::piped()).stderr(place.append("up.log")).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut table = String::new();
    while !table.contains("2/2") {
        assert!(stdout.read_line(&mut table).unwrap() > 0, "{table}\n{}", up_log(&place));
    }
    let url = place.json("status")["edge"]["url"].as_str().unwrap().to_owned();
    assert_eq!(crate::support::get(&url, "/billing/hello").status, 200);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success(), "{}", up_log(&place));
    stdout.read_to_string(&mut table).unwrap();
    place.nothing_runs();
    assert!(!place.state().join("mesh.sock").exists());
    let log = up_log(&place);
    assert!(log.contains("created operator key") && log.contains("created development key"), "{log}");
}

fn up_log(place: &Place) -> String {
    std::fs::read_to_string(place.work().join("up.log")).unwrap_or_default()
}

#[test]
fn detached_it_goes_on_and_the_same_again_redeploys_nothing() {
    let place = described();
    let guard = Guard(&place);
    let ran = place.mesh("up -d").good();
    assert!(ran.stdout.contains("2/2"), "{}", ran.shown());
    let pids = || place.json("ps").as_array().unwrap().iter().map(|r| r["pid"].clone()).collect::<Vec<_>>();
    let before = pids();
    let again = place.mesh("up -d").good();
    assert!(again.stderr.contains("unchanged billing"), "{}", again.shown());
    assert_eq!(pids(), before);
    let down = place.mesh("down").good();
    assert!(down.stderr.contains("stopped the mesh"), "{}", down.shown());
    place.nothing_runs();
    let nothing = place.mesh("down").good();
    assert!(nothing.stderr.contains("nothing runs"), "{}", nothing.shown());
    drop(guard);
}

#[test]
fn a_build_that_fails_leaves_nothing() {
    let place = described();
    let guard = Guard(&place);
    place.write("mesh.toml", "[mesh]\nedge = \"127.0.0.1:0\"\n[app.billing]\nmanifest = \"billing.json\"\nbuild = \"echo no; false\"\nbinary = \"made\"\n");
    let ran = place.mesh("up").ended(1);
    assert!(ran.stderr.contains("the build command of billing failed"), "{}", ran.shown());
    place.nothing_runs();
    drop(guard);
}

#[test]
fn a_taken_port_is_said_as_run_says_it() {
    let place = described();
    let guard = Guard(&place);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = place.mesh(&format!("up -edge {address}")).ended(1);
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("hint: "), "{}", ran.shown());
    place.nothing_runs();
    drop(guard);
}

#[test]
fn up_says_when_the_mesh_dies_under_it() {
    let place = described();
    let guard = Guard(&place);
    let mut child =
        place.command().arg("up").stdout(Stdio::piped()).stderr(place.append("up.log")).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut table = String::new();
    while !table.contains("2/2") {
        assert!(stdout.read_line(&mut table).unwrap() > 0, "{}", up_log(&place));
    }
    let pid = place.json("status")["pid"].as_i64().unwrap();
    kill(pid);
    stdout.read_to_string(&mut table).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(up_log(&place).contains("the mesh ended (signal: 9"), "{}", up_log(&place));
    drop(guard);
}

#[test]
fn ctrl_c_while_it_builds_leaves_nothing() {
    let place = described();
    let guard = Guard(&place);
    place.write(
        "mesh.toml",
        "[mesh]\nedge = \"127.0.0.1:0\"\n[app.billing]\nmanifest = \"billing.json\"\n\
         build = \"mkfifo begun; echo > begun; sleep 1000; true\"\nbinary = \"made\"\n",
    );
    let fifo = std::process::Command::new("mkfifo").arg(place.work().join("begun")).status().unwrap();
    assert!(fifo.success());
    let mut child = place.command().arg("up").stderr(place.append("up.log")).spawn().unwrap();
    std::fs::read(place.work().join("begun")).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", up_log(&place));
    place.nothing_runs();
    drop(guard);
}

#[test]
fn it_follows_an_upgrade_and_says_when_the_mesh_is_stopped_from_elsewhere() {
    let place = described();
    let guard = Guard(&place);
    let mut child =
        place.command().arg("up").stdout(Stdio::piped()).stderr(place.append("up.log")).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut table = String::new();
    while !table.contains("2/2") {
        assert!(stdout.read_line(&mut table).unwrap() > 0, "{}", up_log(&place));
    }
    let before = place.json("status")["pid"].clone();
    place.mesh("upgrade").good();
    assert_ne!(place.json("status")["pid"], before);
    assert!(child.try_wait().unwrap().is_none(), "{}", up_log(&place));
    place.mesh("down").good();
    stdout.read_to_string(&mut table).unwrap();
    assert_ne!(child.wait().unwrap().code(), None);
    place.nothing_runs();
    drop(guard);
}

/// Ends whatever the test left.
struct Guard<'a>(&'a Place);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        drop(self.0.command().args(["down", "-now"]).output());
    }
}
