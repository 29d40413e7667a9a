use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

#[test]
fn what_a_process_started_and_connected_to_is_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let _connection = TcpStream::connect(to).unwrap();
    let _accepted = listener.accept().unwrap();
    let mut shell = Command::new("/bin/bash");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; echo begun; sleep 1000 & wait", to.port());
    let mut shell = shell.args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
    let seen = loop {
        let seen = glance(&[shell.id(), std::process::id(), u32::MAX >> 1]);
        if seen[0].iter().any(|process| process.name == "sleep") {
            break seen;
        }
    };
    let (bash, sleep) = (&seen[0][0], &seen[0][1]);
    assert_eq!((bash.pid, bash.name.as_str(), seen[0].len()), (shell.id(), "bash", 2));
    assert!(sleep.program.as_ref().unwrap().ends_with("sleep"), "{sleep:?}");
    let to_us = |process: &Glanced| process.connections.iter().filter(|(_, there)| *there == to).count();
    assert_eq!((to_us(bash), to_us(sleep)), (1, 1), "a child has what its parent had open");
    // Ours is the one that we began, not the two that were accepted.
    let own = seen[1].iter().find(|process| process.pid == std::process::id()).unwrap();
    assert_eq!(own.connections.iter().filter(|(_, there)| there.ip() == to.ip()).count(), 1, "{own:?}");
    assert!(seen[1].len() >= 3 && seen[2].is_empty());
    let kill = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    kill(sleep.pid);
    kill(bash.pid);
    shell.wait().unwrap();
    assert!(glance(&[shell.id()])[0].is_empty());
}

#[test]
fn a_table_is_read_as_the_kernel_writes_it() {
    let line = "   1: 0100007F:0CEA 0200000A:01BB 02 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000 20";
    let row = Row::read(line).unwrap();
    let expected = if cfg!(target_endian = "little") { "10.0.0.2:443" } else { "2.0.0.10:443" };
    assert_eq!((row.port, row.remote.to_string().as_str(), row.state, row.inode), (3306, expected, 2, 12345));
    let six = "00000000000000000000000001000000:1F90";
    assert_eq!(
        address(six).unwrap().to_string(),
        if cfg!(target_endian = "little") { "[::1]:8080" } else { "[::100:0]:8080" }
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_passed_over(text in "[0-9A-Fa-f: é]{0,160}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Row::read(&text);
        let _ = address(&text);
        let _ = Row::read(&String::from_utf8_lossy(&bytes));
    }
}
