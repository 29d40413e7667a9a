use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tokio::sync::{broadcast, mpsc};

use super::*;

fn one(name: &str, pid: u32) -> Here {
    let replica = ReplicaName::new(name).unwrap();
    let key = (NodeName::new("node-1").unwrap(), replica);
    Here { key, app: AppName::new("billing").unwrap(), pid }
}

#[test]
fn what_is_new_since_the_last_glance_is_told_and_a_replica_that_comes_is_said_to_be_glanced_at() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let script = format!(
        "read x; exec 3<>/dev/tcp/127.0.0.1/{}; sleep 1000 & echo did; read x; kill -9 $!; wait; echo did; read x",
        to.port()
    );
    let mut bash = Command::new("/bin/bash");
    let bash = bash.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut bash = bash.spawn().unwrap();
    let mut said = BufReader::new(bash.stdout.take().unwrap());
    let (ask, asked) = mpsc::channel(1);
    let asked = Asked { asked, told: broadcast::channel(1).0 };
    let mut glances = Glances { asked, total: 0, why: "no root".to_owned(), known: None };
    let pid = bash.id();
    let mut look = |also: Option<&str>| {
        let here: Vec<_> =
            [Some("billing-1a2b"), also].into_iter().flatten().map(|name| one(name, pid)).collect();
        let pids: Vec<u32> = here.iter().map(|one| one.pid).collect();
        glances.compare(here, membrane::glance(&pids), Timestamp::from_secs(1))
    };
    let mut go = || {
        writeln!(bash.stdin.as_mut().unwrap(), "go").unwrap();
        said.read_line(&mut String::new()).unwrap();
    };
    assert_eq!(look(None), [], "what was there before is no news");
    go();
    let told = look(None);
    let connect = TraceWhat::Connect { protocol: "tcp".to_owned(), address: to };
    let connects: Vec<_> = told.iter().filter(|trace| trace.what == connect).map(|trace| trace.pid).collect();
    assert_eq!(connects, [Some(pid)], "once, though its child has it as well: {told:#?}");
    let begun = |trace: &&Trace| matches!(&trace.what, TraceWhat::Exec { .. });
    let child = told.iter().find(begun).unwrap().pid;
    assert_eq!(told.iter().filter(begun).count(), 1, "{told:#?}");
    // Executed by now, or still about to be.
    assert!(look(None).iter().all(|trace| begun(&trace) && trace.pid == child));
    go();
    let told = look(None);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0].what, told[0].pid), (&TraceWhat::Exit { code: None, signal: None }, child));
    let told = look(Some("billing-3c4d"));
    let sampled = TraceWhat::Sampled { every_ms: 250, why: "no root".to_owned() };
    assert_eq!((&told[0].what, told[0].replica.as_str()), (&sampled, "billing-3c4d"));
    assert!(told[1..].iter().all(|trace| trace.replica.as_str() == "billing-3c4d" && trace.pid == Some(pid)));
    bash.kill().unwrap();
    bash.wait().unwrap();
    drop(ask);
}
